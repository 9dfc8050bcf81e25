// Crashes in pairs: the second one strikes the run that has the first, so that it strikes what recovers from that, at each of its requests.
// Run by test/simulation/crash-pairs.test.ts, which tries some of them, and by test/simulation/main, which tries all.
import { type Crash, modes, play, tryWith } from "./crashes.ts"
import type { Fault } from "./one-thread.ts"
import type { ScenarioName } from "./pinned-points.ts"

export interface Pair {
  readonly first: Crash
  readonly second: Crash
  /** Runs the scenario with both; returns what went wrong, or "". */
  readonly run: () => string
}

/** Where each way of the first crash meets each of the second one. */
const core: ReadonlyArray<ScenarioName> = ["a plan", "an apply", "a cancel in an apply"]
/** In the other scenarios, processes only die after a request, which leaves the most half done. All ways would take hours there. */
const waysIn = (name: ScenarioName): ReadonlyArray<Fault> => core.includes(name) ? modes : ["killed after"]

/** Makes the pairs of a scenario, by the first crash and then the second. One that broke an invariant alone has no second. */
export const pairsOf = function*(name: ScenarioName): Generator<Pair> {
  const clean = play(name)
  const ways = waysIn(name)
  for (let at = 0; at < clean.requests; at++) {
    for (const mode of ways) {
      const first: Crash = { at, mode }
      const { requests } = tryWith(name, clean, [first])
      for (let then = at + 1; then < requests; then++) {
        for (const way of ways) {
          const second: Crash = { at: then, mode: way }
          yield { first, second, run: () => tryWith(name, clean, [first, second]).wrong }
        }
      }
    }
  }
}
