import { describe, expect, it } from "@effect/vitest"
import { allTold, told } from "../../../src/schema/document/fault.ts"

describe("a fault", () => {
  it("is told in at most so many characters as a person reads, though it quotes what is no text", () => {
    const long = "x".repeat(1_000_000)
    expect(told({ file: "f", place: { line: 1, column: 1 }, path: long, message: `unknown key ${long}` }).length).toBeLessThan(2100)
  })

  it("is one of twenty that are told, and of more only the number", () => {
    const faults = Array.from({ length: 25 }, (_, index) => ({ file: "f", message: `fault ${index}` }))
    expect([allTold(faults).slice(19), allTold(faults.slice(0, 20)).length]).toEqual([["f fault 19", "and 5 more"], 20])
  })
})
