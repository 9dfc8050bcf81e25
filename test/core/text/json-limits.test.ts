// How deeply JSON is nested and how many values it has, told from its bytes.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { jsonExcess, jsonFault } from "../../../src/core/text/json-limits.ts"

const depthOf = (value: unknown): number =>
  typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0

const encode = (text: string) => new TextEncoder().encode(text)

const isDeeperThan = (levels: number, json: Uint8Array) => jsonExcess({ levels, values: Infinity }, json) !== undefined

describe("jsonExcess of levels", () => {
  it.prop("tells the depth of any JSON", [Schema.Json], ([value]) => {
    const depth = depthOf(value)
    const bytes = encode(JSON.stringify(value))
    expect([isDeeperThan(depth, bytes), depth > 0 && !isDeeperThan(depth - 1, bytes)]).toEqual([false, false])
  })

  it.each([
    { json: "[".repeat(65), expected: true },
    { json: "[".repeat(64), expected: false },
    { json: `"${"[".repeat(100)}"`, expected: false },
    { json: `{"a\\"${"[".repeat(100)}": 1}`, expected: false },
    { json: `"\\\\"${"{".repeat(65)}`, expected: true },
    { json: "[]".repeat(100), expected: false }
  ])("of 64 levels: $json", ({ expected, json }) => expect(isDeeperThan(64, encode(json))).toBe(expected))
})

/** Returns how many values there are in `value`, itself included. An empty array or object counts twice. */
const valuesIn = (value: unknown): number =>
  typeof value === "object" && value !== null
    ? 1 + (Object.keys(value).length === 0 ? 1 : Object.values(value).reduce((sum: number, inner) => sum + valuesIn(inner), 0))
    : 1

describe("jsonExcess of values", () => {
  it.prop("counts the values of any JSON, with and without blanks", [Schema.Json, Schema.Boolean], ([value, isIndented]) => {
    const values = valuesIn(value)
    const bytes = encode(JSON.stringify(value, null, isIndented ? "\t" : undefined))
    expect([jsonExcess({ levels: Infinity, values }, bytes), values > 1 && jsonExcess({ levels: Infinity, values: values - 1 }, bytes)])
      .toEqual([undefined, values > 1 && "values"])
  })

  it.each([
    { json: `[${"[],".repeat(50)}[]]`, expected: "values" },
    { json: `[${"1,".repeat(98)}1]`, expected: undefined },
    { json: `{"a": "${",[{".repeat(100)}"}`, expected: undefined },
    { json: "[".repeat(65), expected: "levels" }
  ])(
    "of 64 levels and 100 values: $json",
    ({ expected, json }) => expect(jsonExcess({ levels: 64, values: 100 }, encode(json))).toBe(expected)
  )
})

describe("jsonFault", () => {
  const unlimited = { levels: Infinity, values: Infinity }

  it.prop("finds wherever an object is cut off, and none in what is whole", [Schema.Record(Schema.String, Schema.Json)], ([value]) => {
    const bytes = encode(JSON.stringify(value))
    expect(jsonFault(unlimited, bytes)).toBeUndefined()
    for (let at = 1; at < bytes.length; at++) expect(jsonFault(unlimited, bytes.subarray(0, at))).toBe("end")
  })
  it.each([`"`, `"a`, `"a\\`, `"a\\"`])(
    "finds the end in a text that is cut off: %s",
    (json) => expect(jsonFault(unlimited, encode(json))).toBe("end")
  )
})
