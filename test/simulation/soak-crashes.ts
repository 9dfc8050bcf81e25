// All crash points, one after the other, and then all pairs of crashes, in threads, as a part of a soak.
// Invariant: the report is written only when all of them have run.
// Used by test/simulation/main.
import { writeReport } from "../scorecard/report.ts"
import { crashEverywhere } from "./crash-points.ts"
import { scenarioNames } from "./pinned-points.ts"
import { inThreads } from "./threads.ts"

/** Runs all pairs; returns how many there were, and how many ended otherwise than the clean run. */
const runPairs = async (): Promise<{ readonly all: number; readonly failed: number }> => {
  let all = 0
  let failed = 0
  const hear = (wrong: string) => {
    all++
    if (wrong !== "") {
      failed++
      console.log(wrong)
    }
    if (all % 500 === 0) console.log(`${all} pairs of crashes, ${failed} of them ended otherwise`)
    return undefined
  }
  const share = (nth: number, every: number) => ({ nth, every })
  await inThreads({ file: new URL("./soak-pairs-thread.ts", import.meta.url), share, hear })
  return { all, failed }
}

/** Returns how many crash points and pairs ended otherwise than the clean run, or did not run. */
export const runCrashes = async (): Promise<number> => {
  const crashes = scenarioNames.map(crashEverywhere)
  const [points, counted] = [crashes.reduce((sum, _) => sum + _.points, 0), crashes.reduce((sum, _) => sum + _.pairs, 0)]
  const wrong = crashes.flatMap((_) => _.wrong)
  for (const _ of wrong) console.log(_)
  console.log(`${points} crash points, ${wrong.length} of them ended otherwise than without a crash`)
  const { all, failed } = await runPairs()
  console.log(`${all} of ${counted} pairs of crashes ran, ${failed} of them ended otherwise than without a crash`)
  writeReport("simulated-crashes", {
    command: "make soak SCHEDULES=0",
    figures: { points, failed: wrong.length, pairs: all, pairsFailed: failed }
  })
  return wrong.length + failed + Math.abs(counted - all)
}
