import { describe, expect, it } from "@effect/vitest"
import { age, elapsed, size } from "../../../src/cli/terminal/amounts.ts"

describe("size", () => {
  it.each([[0, "0 B"], [999, "999 B"], [1300, "1.3 kB"], [999_949, "999.9 kB"], [999_950, "1.0 MB"], [2_500_000, "2.5 MB"]])(
    "%d bytes are %s",
    (bytes, said) => expect(size(bytes)).toBe(said)
  )
})

describe("elapsed", () => {
  it.each([
    [0, "0.0s"],
    [349, "0.3s"],
    [59_940, "59.9s"],
    [59_960, "1m00s"],
    [65_000, "1m05s"],
    [3_599_000, "59m59s"],
    [3_600_000, "1h00m"],
    [3_720_000, "1h02m"],
    [-5, "0.0s"]
  ])("says %d milliseconds as %s", (milliseconds, said) => expect(elapsed(milliseconds)).toBe(said))
})

describe("age", () => {
  const now = Date.parse("2026-01-31T12:00:00Z")
  it.each([
    ["2026-01-31T12:00:00Z", "0s"],
    ["2026-01-31T11:59:51Z", "9s"],
    ["2026-01-31T11:56:40Z", "3m20s"],
    ["2026-01-31T11:45:10Z", "14m"],
    ["2026-01-31T08:00:00Z", "4h"],
    ["2026-01-31T07:30:00Z", "4h30m"],
    ["2026-01-19T12:00:00Z", "12d"],
    ["2026-01-31T12:00:30Z", "0s"]
  ])("of %s is %s", (since, said) => expect(age(since, now)).toBe(said))
})
