// What a person reads of an error: one sentence, whatever the API server said.
import { describe, expect, it } from "@effect/vitest"
import { Rejected } from "../../src/kubernetes/errors.ts"

const said = (detail: string) => new Rejected({ verb: "create", object: "Job team/demo", code: 400, reason: "BadRequest", detail }).message

describe("the server's own words", () => {
  it.each([
    { words: "a line\n  and  another one.\n", read: "a line and another one" },
    { words: "x".repeat(600), read: "x".repeat(600) },
    { words: "x".repeat(601), read: `${"x".repeat(600)}…` },
    { words: `${"x".repeat(599)}😀 and more`, read: `${"x".repeat(599)}…` } // not half of a character
  ])(
    "are one line of at most 600 letters: $words",
    ({ read, words }) =>
      expect(said(words)).toBe(`Cannot create Job team/demo: the API server answered 400 BadRequest (${read}); correct the request.`)
  )
})
