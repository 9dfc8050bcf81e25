// For how long a pool counts as idle, by the looks at it.
import { describe, expect, it } from "@effect/vitest"
import { longestSeconds, lookedAgain, unseen } from "../../../src/server/run/idle-pools.ts"

/** Returns the longest time after each look, at which these pools were idle. */
const seen = (...looks: ReadonlyArray<readonly [at: number, ...idle: ReadonlyArray<string | null>]>) => {
  let idleness = unseen
  return looks.map(([at, ...idle]) => longestSeconds(idleness = lookedAgain(idleness, idle, at)))
}

describe("a pool", () => {
  it("is idle from the first look that showed it so, for as long as each next one does", () => {
    expect(seen([1000, "a"], [1060, "a"], [1120.5, "a"], [1180], [1240, "a"])).toEqual([0, 60, 120, 0, 0])
  })

  it("counts by itself, also that of what any may take", () => {
    expect(seen([0, "a"], [60, "a", null], [120, null], [180, "a", null])).toEqual([0, 60, 60, 120])
    expect(seen([0, "a"], [60, "b"], [120, "a"])).toEqual([0, 0, 0])
  })

  it("is idle only from now on if nobody has looked for more than five minutes", () => {
    expect(seen([0, "a"], [300, "a"], [601, "a"])).toEqual([0, 300, 0])
  })
})
