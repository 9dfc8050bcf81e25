import { describe, expect, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { stateHead, withHeadSerial } from "../../../src/core/state/state-head.ts"

const headOf = (text: string) => Option.getOrUndefined(stateHead(new TextEncoder().encode(text)))
const unknown = { serial: 0, lineage: "" }

describe("the head of a state", () =>
  it.each([
    {
      given: "as OpenTofu writes it",
      text:
        "{\n  \"version\": 4,\n  \"terraform_version\": \"1.12.0\",\n  \"serial\": 7,\n  \"lineage\": \"a-b\",\n  \"resources\": []\n}\n",
      head: { serial: 7, lineage: "a-b" }
    },
    { given: "without any blanks", text: "{\"version\":4,\"serial\":7,\"lineage\":\"a\"}", head: { serial: 7, lineage: "a" } },
    {
      given: "with blanks of every kind around it",
      text: " \t\r\n{\"version\":4,\"serial\":7,\"lineage\":\"a\"} \t\r\n",
      head: { serial: 7, lineage: "a" }
    },
    { given: "with nothing before the serial", text: "{\"serial\":7,\"lineage\":\"a\"}", head: { serial: 7, lineage: "a" } },
    {
      given: "cut off within what comes later",
      text: `{"serial":7,"lineage":"a","x":"${"ü".repeat(2000)}"}`,
      head: { serial: 7, lineage: "a" }
    },
    { given: "in another order", text: "{\"lineage\":\"a\",\"serial\":7}", head: unknown },
    { given: "with a serial that is not its own", text: "{\"resources\":[{\"serial\":7,\"lineage\":\"a\"}]}", head: unknown },
    { given: "with a serial that no number can be", text: "{\"serial\":9007199254740992,\"lineage\":\"a\"}", head: unknown },
    { given: "of no object", text: "[{\"serial\":7,\"lineage\":\"a\"}]", head: undefined },
    { given: "of a text that ends as an object does", text: "x\"serial\":7}", head: undefined },
    { given: "of half an object", text: "{\"serial\":7,\"lineage\":\"a\"", head: undefined },
    { given: "of nothing", text: " \n", head: undefined }
  ])("$given", ({ head, text }) => expect(headOf(text)).toEqual(head)))

const Serial = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e9 }))
const Written = Schema.Struct({
  version: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
  terraform_version: Schema.String,
  serial: Serial,
  lineage: Schema.String,
  resources: Schema.Array(Schema.Unknown)
})
const isPlain = (text: string) => JSON.stringify(text) === `"${text}"`
const withSerial = (text: string, serial: number) =>
  Option.getOrUndefined(Option.map(withHeadSerial(new TextEncoder().encode(text), serial), (bytes) => new TextDecoder().decode(bytes)))

describe("a state with another serial", () => {
  it.prop("has that serial, and all else as it was", [Written, Serial], ([state, serial]) => {
    // No engine's version and no lineage has characters that JSON would have to escape.
    const isWritten = isPlain(state.terraform_version) && isPlain(state.lineage)
    expect(withSerial(JSON.stringify(state, null, 2), serial)).toBe(isWritten ? JSON.stringify({ ...state, serial }, null, 2) : undefined)
  })

  it.each([
    { given: "every digit of large numbers", before: "{\"serial\":7,\"lineage\":\"a\",\"n\":12345678901234567890}" },
    {
      given: "what stands before it in more bytes than letters",
      before: "{\"terraform_version\":\"größer€\",\"serial\":7,\"lineage\":\"ü\"}"
    },
    { given: "a serial of something else", before: "{\"serial\":7,\"lineage\":\"a\",\"resources\":[{\"serial\":7}]}" },
    {
      given: "what follows as it is, even if it is no JSON, since it is not looked at",
      before: "{\"serial\":7,\"lineage\":\"a\",\"resources\":[{"
    }
  ])("keeps $given", ({ before }) => expect(withSerial(before, 1000)).toBe(before.replace("7", "1000")))

  it.each([
    "not JSON",
    "[]",
    "{}",
    "{\"resources\":{\"serial\":1},\"serial\":2}",
    "{\"serial\":\"1\"}",
    "{\"lineage\":\"a\",\"serial\":1}"
  ])(
    "is none where an engine did not write it: %s",
    (text) => expect(withSerial(text, 9)).toBeUndefined()
  )
})
