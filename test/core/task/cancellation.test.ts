import { expect, it } from "@effect/vitest"
import { cancellationOf } from "../../../src/core/task/cancellation.ts"
import { taskOf } from "../configs.ts"

it("cancels this very task, and says nothing else of it", () => {
  const { metadata: { name, namespace, uid } } = taskOf()
  expect(cancellationOf(taskOf({}, { labels: { of: "others" }, finalizers: ["of/others"] }))).toEqual({
    metadata: { name, namespace, uid },
    spec: { cancel: true }
  })
})
