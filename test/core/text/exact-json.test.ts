// Numbers of JSON that 64 bits do not hold, and the member of an object as it is written.
import { describe, expect, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { hasLongNumber, memberOf, parseExactly } from "../../../src/core/text/exact-json.ts"

const encode = (text: string) => new TextEncoder().encode(text)
const printed = (text: string) => JSON.stringify(Option.getOrThrow(parseExactly(encode(text))))

describe("parseExactly", () => {
  it.each([
    "12345678901234567890",
    "9007199254740993",
    "-9007199254740993",
    "1e400",
    "1E-400",
    "0.1000000000000000055511151231257827",
    `[1,"a",{"b":[12345678901234567890,null,true,0.5]}]`,
    `{"a":1,"__proto__":1e400}`
  ])("keeps %s as it is", (text) => expect(printed(text)).toBe(text))

  it.prop("is JSON.parse where each number has 64 bits", [Schema.Json], ([value]) => {
    const text = JSON.stringify(value)
    expect([printed(text), printed(`[1e400,${text}]`)]).toEqual([
      JSON.stringify(JSON.parse(text)),
      `[1e400,${JSON.stringify(JSON.parse(text))}]`
    ])
  })

  it.each(["", "{", "[01]", "12345678901234567890x"])(
    "has nothing for %j, which is no JSON",
    (text) => expect(parseExactly(encode(text))).toEqual(Option.none())
  )
})

describe("hasLongNumber", () => {
  it.each([
    { json: "123456789012345", expected: false },
    { json: "1234567890123456", expected: true },
    { json: "0.5", expected: false },
    { json: "-1e5", expected: true },
    { json: `{"1234567890123456789": "1e5, 1234567890123456789"}`, expected: false },
    { json: `{"a\\"": [true, false, null, 12], "b": "e"}`, expected: false },
    { json: `{"a\\"": [true, false, null, 1e2], "b": "e"}`, expected: true },
    { json: `["",12345678901234567890]`, expected: true }
  ])("is $expected of $json", ({ expected, json }) => expect(hasLongNumber(encode(json))).toBe(expected))
})

describe("memberOf", () => {
  const Members = Schema.Record(Schema.String, Schema.Json)
  it.prop("is the value of any name", [Members, Schema.Boolean], ([value, isIndented]) => {
    const bytes = encode(JSON.stringify(value, null, isIndented ? " " : undefined))
    for (const [name, member] of Object.entries(value)) {
      expect(JSON.parse(new TextDecoder().decode(memberOf(bytes, name)))).toEqual(JSON.parse(JSON.stringify(member)))
    }
    expect(memberOf(bytes, "a name that none has")).toBeUndefined()
  })

  it.each([
    { json: `{"a":1,"a":[2]}`, expected: "[2]" },
    { json: `{"\\u0061":"}"}`, expected: `"}"` },
    { json: `{"b":{"a":1}}`, expected: undefined },
    { json: `{"b":"a","c":["a",1]}`, expected: undefined },
    { json: "{}", expected: undefined }
  ])("of the name a in $json is $expected", ({ expected, json }) => {
    const member = memberOf(encode(json), "a")
    expect(member === undefined ? undefined : new TextDecoder().decode(member)).toBe(expected)
  })
})
