// All crash points and all pairs of crashes, one after the other, as a part of a soak.
// Invariant: the report is written only when all of them have run.
// Used by test/simulation/main.
import { writeReport } from "../scorecard/report.ts"
import { pairsOf } from "./crash-pairs.ts"
import { crashEverywhere } from "./crash-points.ts"
import { pinnedPairs, scenarioNames } from "./pinned-points.ts"

/** What was enumerated, and how much of it ended otherwise than the clean run. */
interface Count {
  readonly all: number
  readonly failed: number
}

const runPoints = (): Count => {
  const crashes = scenarioNames.map(crashEverywhere)
  const wrong = crashes.flatMap((_) => _.wrong)
  for (const _ of wrong) console.log(_)
  return { all: crashes.reduce((sum, _) => sum + _.points, 0), failed: wrong.length }
}

const runPairs = (): Count => {
  let all = 0
  let failed = 0
  for (const name of scenarioNames) {
    const before = all
    for (const run of pairsOf(name)) {
      const wrong = run()
      all++
      if (wrong !== "") {
        failed++
        console.log(wrong)
      }
      if (all % 500 === 0) console.log(`${all} pairs of crashes, ${failed} of them ended otherwise`)
    }
    const { [name]: pinned } = pinnedPairs
    if (all - before !== pinned) {
      failed++
      console.log(
        `${name} has ${all - before} pairs, not ${pinned}; find out which request is new or gone, and pin them in pinned-points.ts`
      )
    }
  }
  return { all, failed }
}

/** Returns how many crash points and pairs ended otherwise than the clean run. */
export const runCrashes = (): number => {
  const points = runPoints()
  console.log(`${points.all} crash points, ${points.failed} of them ended otherwise than without a crash`)
  const pairs = runPairs()
  console.log(`${pairs.all} pairs of crashes, ${pairs.failed} of them ended otherwise than without a crash`)
  writeReport("simulated-crashes", {
    command: "make soak SCHEDULES=0",
    figures: { points: points.all, failed: points.failed, pairs: pairs.all, pairsFailed: pairs.failed }
  })
  return points.failed + pairs.failed
}
