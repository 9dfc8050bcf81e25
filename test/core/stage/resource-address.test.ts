// Which texts are addresses of resources, and which only look like one.
import { describe, expect, it } from "@effect/vitest"
import { isAddress } from "../../../src/core/stage/resource-address.ts"

describe("isAddress", () => {
  it.each([
    "time_sleep.a",
    "time_sleep.a[0]",
    `time_sleep.a["x y"]`,
    `module.m["a \\"b\\" $\${c} %%{d}"].aws_s3_bucket.b-1`,
    "module.größe.t.a"
  ])("holds for %s", (text) => expect(isAddress(text)).toBe(true))
  it.each([
    "",
    "a b",
    "a.b }",
    "a.b\nc",
    "a.b # c",
    `a["\${file(1)}"].b`,
    `a["%{ if true }"].b`,
    "a..b",
    ".a.b",
    "a.b[",
    `a["x].b`,
    "a.b (local-exec)"
  ])("does not hold for %j", (text) => expect(isAddress(text)).toBe(false))
  it("is quick to refuse what is long", () => {
    expect(isAddress(`${"a".repeat(500_000)}!`)).toBe(false)
    expect(isAddress(`${"a.b".repeat(200_000)}!`)).toBe(false)
  }, 30_000) // takes milliseconds; with one step for each pair of letters it would take minutes
})
