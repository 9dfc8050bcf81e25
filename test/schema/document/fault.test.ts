import { describe, expect, it } from "@effect/vitest"
import { told } from "../../../src/schema/document/fault.ts"

describe("a fault", () => {
  it("is told in at most so many characters as a person reads, though it quotes what is no text", () => {
    const long = "x".repeat(1_000_000)
    expect(told({ file: "f", place: { line: 1, column: 1 }, path: long, message: `unknown key ${long}` }).length).toBeLessThan(2100)
  })
})
