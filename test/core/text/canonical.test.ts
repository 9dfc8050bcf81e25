import { describe, expect, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { canonical } from "../../../src/core/text/canonical.ts"

const entries = Schema.UniqueArray(Schema.Struct({ key: Schema.String, value: Schema.Json }))

describe("the canonical text", () => {
  it("has its keys in order at every depth, and lists as they are", () =>
    expect(canonical({ b: [{ d: 1, c: null }, "x"], a: { z: true, y: "" } })).toBe(
      "{\"a\":{\"y\":\"\",\"z\":true},\"b\":[{\"c\":null,\"d\":1},\"x\"]}"
    ))

  it.prop("is the same in whatever order the keys were written, and means the same", [Arbitrary.schema(entries)], ([entries]) => {
    const unique = [...new Map(entries.map(({ key, value }) => [key, value]))]
    const data = Object.fromEntries(unique)
    expect(canonical(Object.fromEntries(unique.toReversed()))).toBe(canonical(data))
    const text = JSON.stringify(data)
    if (/"\\(?:u[0-9a-f]{4}|[^u])":/u.test(text)) return // V8 13.6 reads a key "\t" as "\\" once there was an object with that key
    expect(JSON.parse(canonical(data))).toEqual(JSON.parse(text))
  })
})
