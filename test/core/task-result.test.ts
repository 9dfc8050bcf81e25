// The result of a task that ended without a result from its worker.
import { expect, it } from "@effect/vitest"
import { resultOf } from "../../src/core/task-result.ts"
import { longestMessage } from "../../src/schema/stage-result.ts"

it("has the status's message, cut between two characters, so that the API server gives back what was written", () => {
  const messages = [0, 1].map((shift) =>
    resultOf({ phase: "Failed", message: "a".repeat(shift) + "😀".repeat(longestMessage) }, "2026-01-01T00:00:00Z").message
  )
  expect(messages.map((message) => message.isWellFormed() && message.endsWith("…") && message.length <= longestMessage)).toEqual([
    true,
    true
  ])
})
