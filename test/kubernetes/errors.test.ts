// What a person reads of an error: one sentence, whatever the API server said.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { refusal as refusalOf } from "../../src/kubernetes/answer.ts"
import { AlreadyExists, Conflict, Gone, Invalid, NotFound, Rejected } from "../../src/kubernetes/errors.ts"

const said = (detail: string) => new Rejected({ verb: "create", object: "Job team/demo", code: 400, reason: "BadRequest", detail }).message

describe("the server's own words", () => {
  it.each([
    { words: "a line\n  and  another one.\n", read: "a line and another one" },
    { words: "x".repeat(600), read: "x".repeat(600) },
    { words: "x".repeat(601), read: `${"x".repeat(600)}…` },
    { words: `wait${".".repeat(1_000_000)} no...`, read: `wait${".".repeat(596)}…` }, // in good time
    { words: `${"x".repeat(599)}😀 and more`, read: `${"x".repeat(599)}…` } // no half of a character is left
  ])(
    "are one line of at most 600 letters: $words",
    ({ read, words }) =>
      expect(said(words)).toBe(`Cannot create Job team/demo: the API server answered 400 BadRequest (${read}); correct the request.`)
  )
})

describe("a refusal", () => {
  const refusal = { verb: "update", object: "Lease team/demo", code: 409, reason: "Conflict", detail: "the server's words." } as const
  it.each([
    {
      error: new NotFound({ ...refusal, isKindServed: true }),
      message: "Cannot update Lease team/demo: it is not there (the server's words); check its name and namespace."
    },
    {
      error: new NotFound({ ...refusal, verb: "watch", object: "AgentTask objects in team", isKindServed: false }),
      message:
        "Cannot watch AgentTask objects in team: the API server does not serve that kind (the server's words); install its CRD, or upgrade the cluster if the kind is its own."
    },
    {
      error: new AlreadyExists(refusal),
      message: "Cannot update Lease team/demo: one of this name exists already; see who owns that one, or choose another name."
    },
    {
      error: new Conflict(refusal),
      message: "Cannot update Lease team/demo: it has changed since it was read (the server's words); try again."
    },
    {
      error: new Gone(refusal),
      message: "Cannot update Lease team/demo: the resource version asked for is no longer kept; try again."
    }
  ])("says what a person can do: $error._tag", ({ error, message }) => expect(error.message).toBe(message))

  const write = { verb: "update the status of", object: "AgentTask team/demo" } as const
  const unknownField =
    "AgentTask in version \"v1\" cannot be handled as a AgentTask: strict decoding error: unknown field \"status.source\""
  const unknownWord = { field: "status.reason", reason: "FieldValueNotSupported", message: "Unsupported value: \"Draining\"" }
  it.each([
    {
      of: "a field",
      error: new Rejected({ ...write, code: 400, reason: "BadRequest", detail: unknownField }),
      why: `the API server answered 400 BadRequest (${unknownField})`
    },
    {
      of: "a word",
      error: new Invalid({ ...write, code: 422, reason: "Invalid", detail: "", causes: [unknownWord] }),
      why: "status.reason: Unsupported value: \"Draining\""
    }
  ])(
    "of $of that an older CRD does not know says which one to apply, as nobody could correct the status",
    ({ error, why }) =>
      expect(error.message).toBe(
        `Cannot update the status of AgentTask team/demo: ${why}; apply the CRD of the newest version that runs here, or upgrade the cluster if the kind is its own.`
      )
  )

  it.each([
    { answer: "404 page not found\n", isKindServed: false },
    { answer: JSON.stringify({ kind: "Status", code: 404, reason: "NotFound", message: "jobs \"demo\" not found" }), isKindServed: true }
  ])(
    "tells from a 404 whether the API server serves the kind: $isKindServed",
    ({ answer, isKindServed }) =>
      expect(refusalOf({ verb: "get", object: "Thing team/demo" }, 404, answer, Option.none(), 0)).toMatchObject({
        _tag: "NotFound",
        isKindServed
      })
  )
})
