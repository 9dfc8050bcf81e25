// A second crash while what recovers from the first one runs: a small part of all pairs, each of which `make soak SCHEDULES=0` runs.
import { describe, expect, it } from "@effect/vitest"
import { pairsOf } from "./crash-pairs.ts"
import { scenarioNames } from "./pinned-points.ts"

describe("a crash soon after a crash", () => {
  for (const name of scenarioNames) {
    it(`in ${name} ends as without both, where processes die after a write`, () => {
      const ends = Array.from(pairsOf(name, "small"), (run) => run())
      expect(ends.length).toBeGreaterThan(0)
      expect(ends.filter((wrong) => wrong !== "")).toEqual([])
    })
  }
})
