// What the server learns of a state before it stores it, and how much of the state it parses for that.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { identify, identifyOfStage } from "../../../src/server/workspace/state-body.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const ample = 1024 * 1024 * 1024
const told = (known: typeof identify, text: string, heapBytes = ample) =>
  Effect.runSync(
    known(heapBytes, bytes(text)).pipe(
      Effect.map(({ excess, ...head }) => excess === undefined ? head : { ...head, excess: excess.message }),
      Effect.catch(({ message }) => Effect.succeed(message))
    )
  )

const begun = "{\n  \"version\": 4,\n  \"terraform_version\": \"1.12.0\",\n  \"serial\": 7,\n  \"lineage\": \"l\",\n"
const head = { serial: 7, lineage: "l" }
const noState =
  "The body is not a state, which is JSON with a version, a serial and a lineage, so nothing was stored; send the file as the engine writes it."
const many = (count: number) => `"x": [${"1,".repeat(count)}1]`

describe("a state of a stage", () => {
  it.each([
    { given: "as the engines begin one is known by its head", text: `${begun}"outputs": {}}`, expected: head },
    { given: "is not parsed then, whatever it has", text: `${begun}"outputs": not JSON}`, expected: head },
    { given: "is not parsed then, however much it has", text: `${begun}${many(3_000_000)}}`, expected: head },
    { given: "that begins otherwise is parsed", text: "{\"lineage\": \"l\", \"serial\": 7, \"version\": 4}", expected: head },
    { given: "that begins otherwise and is no JSON is none", text: "{\"lineage\": \"l\", \"serial\": 7, x}", expected: noState },
    { given: "is none when its end is missing", text: `${begun}"resources": [{"a": 1}`, expected: noState },
    { given: "is none when a text has no end", text: `${begun}"a": "}`, expected: noState },
    { given: "is none as something else", text: "[1]", expected: noState },
    {
      given: "that begins otherwise and has very much in it is kept and no more",
      text: `{"lineage": "l", "serial": 7, ${many(100_000)}}`,
      expected: { serial: 0, lineage: "", excess: expect.stringContaining("does not begin as the engines begin one") }
    }
  ])("$given", ({ expected, text }) => expect(told(identifyOfStage, text)).toEqual(expected))
})

describe("a state of a person", () => {
  it.each([
    { given: "is parsed", text: `${begun}"outputs": {}}`, expected: head },
    { given: "is none where it is no JSON", text: `${begun}"outputs": not JSON}`, expected: noState },
    { given: "is none with a mark of its byte order, which no engine reads", text: `\uFEFF${begun}"outputs": {}}`, expected: noState },
    { given: "is none without a version", text: "{\"serial\": 7, \"lineage\": \"l\"}", expected: noState },
    {
      given: "is none with a version that is no whole number",
      text: "{\"version\": 4.0, \"serial\": 7, \"lineage\": \"l\"}",
      expected: noState
    },
    {
      given: "has no version where the engine encrypts it",
      text: "{\"serial\": 7, \"lineage\": \"l\", \"meta\": {}, \"encrypted_data\": \"QQ==\", \"encryption_version\": \"v0\"}",
      expected: head
    },
    { given: "is of the serial that its reader finds", text: `${begun}"serial": 9}`, expected: { ...head, serial: 9 } }
  ])("$given", ({ expected, text }) => expect(told(identify, text)).toEqual(expected))

  it.each(["-5", "-0", "7.0", "7e0", "\"7\"", "null", "9007199254740993"])(
    "is none with the serial %s, which no engine reads",
    (serial) => expect(told(identify, `{"version": 4, "serial": ${serial}, "lineage": "l"}`)).toEqual(noState)
  )

  it("is not parsed with more than two million values, for which all would wait, however much memory there is", () => {
    expect(told(identify, `${begun}${many(1_999_000)}, not JSON}`, 64 * ample)).toEqual(noState)
    expect(told(identify, `${begun}${many(2_000_000)}, not JSON}`, 64 * ample)).toEqual(head)
  })

  it.each([
    { given: "is known by its head", text: `${begun}${many(10)}}`, expected: head },
    { given: "is not parsed then, whatever it has", text: `${begun}"outputs": not JSON}`, expected: head },
    { given: "is none when its end is missing", text: `${begun}${many(10)}`, expected: noState },
    {
      given: "is kept and no more when it begins otherwise",
      text: `{"lineage": "l", "serial": 7, ${many(10)}}`,
      expected: { serial: 0, lineage: "", excess: expect.stringContaining("does not begin as the engines begin one") }
    }
  ])(
    "that is too large for the server to parse $given",
    ({ expected, text }) => expect(told(identify, text, 1024)).toEqual(expected)
  )
})
