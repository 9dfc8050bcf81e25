// Crashes in pairs: the second one strikes the run that has the first, so that it strikes what recovers from that, at each of its requests.
// Run by test/simulation/crash-pairs.test.ts, which tries some of them, and by test/simulation/main, which tries all.
import { type Crash, modes, play, tryWith } from "./crashes.ts"
import type { Fault } from "./one-thread.ts"
import type { PairedName } from "./pinned-points.ts"

export interface Pair {
  readonly first: Crash
  readonly second: Crash
  /** Runs the scenario with both; returns what went wrong, or "". */
  readonly run: () => string
}

const afterwards: ReadonlyArray<Fault> = ["killed after"]
/** The ways of both crashes. A run of the pool takes three times as long as the others, so that in it processes only die after a request. */
const waysIn: Readonly<Record<PairedName, ReadonlyArray<Fault>>> = {
  "a plan": modes,
  "an apply": modes,
  "a cancel in an apply": modes,
  "a run of the pool": afterwards
}

/** Makes the pairs of a scenario, by the first crash and then the second. One that broke an invariant alone has no second. */
export const pairsOf = function*(name: PairedName): Generator<Pair> {
  const clean = play(name)
  const { [name]: ways } = waysIn
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
