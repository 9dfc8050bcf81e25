// A second crash while what recovers from the first one runs: here where processes die after a request, which leaves the most half done.
// All pairs are counted; `make soak SCHEDULES=0` runs each of them.
import { describe, expect, it } from "@effect/vitest"
import { type Pair, pairsOf } from "./crash-pairs.ts"
import { pinnedPairs, scenarioNames } from "./pinned-points.ts"

const bothDie = ({ first, second }: Pair): boolean => first.mode === "killed after" && second.mode === "killed after"

describe("a crash after a crash", () => {
  for (const name of scenarioNames) {
    it(`in ${name} ends as without both, of ${pinnedPairs[name]} pairs in those that are tried`, () => {
      let pairs = 0
      const wrong: Array<string> = []
      for (const pair of pairsOf(name)) {
        if (pairs++ % 1 === 0 && bothDie(pair)) wrong.push(pair.run())
      }
      expect({ pairs, wrong: wrong.filter((_) => _ !== "") }).toEqual({ pairs: pinnedPairs[name], wrong: [] })
    }, 300_000)
  }
})
