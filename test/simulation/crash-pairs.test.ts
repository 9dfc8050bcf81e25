// A second crash while what recovers from the first one runs: here where processes die after a request, which leaves the most half done.
// All pairs are counted; `make soak SCHEDULES=0` runs each of them.
import { describe, expect, it } from "@effect/vitest"
import { type Pair, pairsOf } from "./crash-pairs.ts"
import { pairedNames, pinnedPairs } from "./pinned-points.ts"

const bothDie = ({ first, second }: Pair): boolean => first.mode === "killed after" && second.mode === "killed after"
/** One such pair in so many is tried where there are many. The number is a prime, so that they fall on different requests. */
const every = { "a plan": 1, "an apply": 1, "a cancel in an apply": 1, "a run of the pool": 29 }

describe("a crash after a crash", () => {
  for (const name of pairedNames) {
    it(`in ${name} ends as without both, of ${pinnedPairs[name]} pairs in those that are tried`, () => {
      let pairs = 0
      const wrong: Array<string> = []
      for (const pair of pairsOf(name)) {
        if (pairs++ % every[name] === 0 && bothDie(pair)) wrong.push(pair.run())
      }
      expect({ pairs, wrong: wrong.filter((_) => _ !== "") }).toEqual({ pairs: pinnedPairs[name], wrong: [] })
    }, 300_000)
  }
})
