// What an answer of the API server means where it says less than usual, or something beside.
import { expect, it } from "@effect/vitest"
import { Duration, Option, Result } from "effect"
import { pageOf, refusal, watchEventOf } from "../../src/kubernetes/answer.ts"

const call = { verb: "watch", object: "jobs in team" } as const

it("a server that is overloaded, and does not say for how long, is left alone for a second", () =>
  expect(refusal(call, 429, "", Option.none(), 0)).toMatchObject({ _tag: "TooManyRequests", retryAfter: Duration.seconds(1) }))

it.each([
  { given: "none", annotations: undefined, whole: false },
  { given: "another", annotations: { "example.com/other": "true" }, whole: false },
  { given: "the one that says so", annotations: { "k8s.io/initial-events-end": "true" }, whole: true }
])("a watch has told all objects only by a bookmark whose annotation says so: $given", ({ annotations, whole }) => {
  const metadata = { resourceVersion: "9", ...(annotations && { annotations }) }
  expect(watchEventOf(call, { type: "BOOKMARK", object: { metadata } })).toEqual(
    Result.succeed({ type: "BOOKMARK", resourceVersion: "9", whole })
  )
})

it("an answer that is no list at all is named as a whole, and the fields of one that is wrong in some by their names", () => {
  const told = ["Hello.", { metadata: { resourceVersion: "9" }, items: [1] }].map((answer) =>
    Result.getOrThrow(Result.flip(pageOf(call, answer)))
  )
  expect(told.map(({ detail }) => detail)).toEqual(["see the object itself", "see items.0"])
})
