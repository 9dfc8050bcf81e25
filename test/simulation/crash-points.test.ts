// A crash or a lost message at every request of every scenario, and at every commit of the pool's server, in each of the ways in which it can
// happen.
import { describe, expect, it } from "@effect/vitest"
import { crashEverywhere } from "./crash-points.ts"
import { pinnedPairs, pinnedPoints, scenarioNames } from "./pinned-points.ts"

describe("a crash anywhere", () => {
  for (const name of scenarioNames) {
    it(`in ${name} ends as without it, in all ${pinnedPoints[name]} places and ways`, () => {
      expect(crashEverywhere(name)).toEqual({ points: pinnedPoints[name], pairs: pinnedPairs[name], wrong: [] })
    })
  }
})
