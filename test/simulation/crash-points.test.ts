// A crash or a lost message at every request of every scenario, in each of the ways in which it can happen.
import { describe, expect, it } from "@effect/vitest"
import { crashEverywhere, type ScenarioName } from "./crash-points.ts"

/** How many crash points each scenario has. They are pinned, so that a request more or less is a change that has to be looked at. */
const points: Readonly<Record<ScenarioName, number>> = {
  "a plan": 60,
  "an apply": 78,
  "a cancel in an apply": 84,
  "a cancel before the claim": 78,
  "a launch that fails": 78,
  "a launch that fails, and another": 174,
  "two applies to one workspace": 156,
  "a plan that is applied by itself": 264,
  "a run of the pool": 390
}

describe("a crash anywhere", () => {
  for (const [name, count] of Object.entries(points) as ReadonlyArray<readonly [ScenarioName, number]>) {
    it(`in ${name} ends as without it, in all ${count} places and ways`, () => {
      expect(crashEverywhere(name)).toEqual({ points: count, wrong: [] })
    }, 300_000) // it takes ten seconds if nothing else runs
  }
})
