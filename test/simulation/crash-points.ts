// Crashes enumerated: each scenario runs again for every request in it and every way in which that can fail.
// Run by test/simulation/crash-points.test.ts, and counted by test/simulation/main.
import { modes, play, tryWith } from "./crashes.ts"
import type { ScenarioName } from "./pinned-points.ts"

/** Runs the scenario with every possible crash; returns how many there were, and a text for each that went wrong. */
export const crashEverywhere = (name: ScenarioName): { readonly points: number; readonly wrong: ReadonlyArray<string> } => {
  const clean = play(name)
  const wrong: Array<string> = []
  let points = 0
  for (let at = 0; at < clean.requests.length; at++) {
    for (const mode of modes) {
      points++
      const tried = tryWith(name, clean, [{ at, mode }])
      if (tried.wrong !== "") wrong.push(tried.wrong)
    }
  }
  return { points, wrong }
}
