// Crashes enumerated: each scenario runs again for every request and every commit of the server in it, and every way in which that can fail.
// Run by test/simulation/crash-points.test.ts, and counted by test/simulation/main.
import { countPairs } from "./crash-pairs.ts"
import { play, tryWith, waysOf } from "./crashes.ts"
import type { ScenarioName } from "./pinned-points.ts"

interface Crashes {
  readonly points: number
  /** How many pairs of crashes there are; they are counted, not run. */
  readonly pairs: number
  /** A text for each point that went wrong. */
  readonly wrong: ReadonlyArray<string>
}

/** Runs the scenario with every possible crash. */
export const crashEverywhere = (name: ScenarioName): Crashes => {
  const clean = play(name)
  const wrong: Array<string> = []
  let points = 0
  let pairs = 0
  for (const [at, request] of clean.requests.entries()) {
    for (const mode of waysOf(request)) {
      points++
      const tried = tryWith(name, clean, [{ at, mode }])
      pairs += countPairs(name, { at, mode }, request, tried.requests)
      if (tried.wrong !== "") wrong.push(tried.wrong)
    }
  }
  return { points, pairs, wrong }
}
