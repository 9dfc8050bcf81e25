// How deeply JSON is nested, told from its bytes.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { isDeeperThan } from "../../src/core/json-depth.ts"

const depthOf = (value: unknown): number =>
  typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0

const encode = (text: string) => new TextEncoder().encode(text)

describe("isDeeperThan", () => {
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
