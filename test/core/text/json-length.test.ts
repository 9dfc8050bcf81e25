import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { isLongerThan } from "../../../src/core/text/json-length.ts"

describe("a value as JSON", () => {
  it.prop("that is found longer than a limit is so when it is written", [Schema.MutableJson, Schema.Int], ([value, limit]) => {
    if (isLongerThan(Math.abs(limit) % 100, value)) expect(JSON.stringify(value).length).toBeGreaterThan(Math.abs(limit) % 100)
  })

  it.each([
    { given: "a long text", value: { a: { b: ["x".repeat(101)] } } },
    { given: "a long key", value: { ["x".repeat(101)]: 1 } },
    { given: "many values", value: Array.from({ length: 101 }, () => 1) },
    { given: "many empty objects", value: Array.from({ length: 101 }, () => ({})) },
    { given: "many levels", value: Array.from({ length: 101 }).reduce((inner) => [inner], null) }
  ])("is longer than a hundred with $given", ({ value }) => expect(isLongerThan(100, value)).toBe(true))

  it.each(["x".repeat(100), null, 1, {}, [], { a: "x".repeat(98) }, Array.from({ length: 99 }, () => 1)])(
    "is not longer than a hundred as %j",
    (value) => {
      expect(isLongerThan(100, value)).toBe(false)
    }
  )

  it("is looked at no further than the limit", () => {
    let looks = 0
    const items = Array.from({ length: 1000 }, () => 1)
    expect(isLongerThan(100, new Proxy(items, { get: (of, key) => (looks++, Reflect.get(of, key)) }))).toBe(true)
    expect(looks).toBeLessThanOrEqual(200)
  })
})
