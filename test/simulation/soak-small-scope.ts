// All orders in which a small installation can act for some steps, without a failure and with one, in threads, as a part of a soak.
// Invariant: the report is written only when all scopes are through.
// Used by test/simulation/main.
import { writeReport } from "../scorecard/report.ts"
import type { Explored, Scope } from "./small-scope.ts"
import { inThreads, type Share } from "./threads.ts"

/** One step more takes three to five times as long. */
export const scopes: ReadonlyArray<Scope> = [
  { from: "two tasks are new", steps: 10, failures: 0 },
  { from: "two tasks are new", steps: 8, failures: 1 },
  { from: "two Pods of a Job have started", steps: 6, failures: 0 },
  { from: "two Pods of a Job have started", steps: 5, failures: 1 },
  { from: "an engine is at work", steps: 5, failures: 0 },
  { from: "an engine is at work", steps: 4, failures: 1 },
  { from: "a task is over", steps: 5, failures: 0 },
  { from: "a task is over", steps: 4, failures: 1 }
]

/** Returns in how many of the scopes a state breaks an invariant. */
export const runSmallScope = async (): Promise<number> => {
  let [states, violations] = [0, 0]
  const share = (nth: number, every: number): typeof Share.Type => ({ nth, every })
  const hear = ({ failures, from, states: found, steps, violation }: Scope & Explored) => {
    states += found
    if (violation !== undefined) violations++
    console.log(
      `${found} states within ${steps} steps since ${from}, with ${failures} failures: ${violation ?? "no invariant is broken"}`
    )
    return undefined
  }
  await inThreads({ file: new URL("./soak-small-scope-thread.ts", import.meta.url), share, hear })
  writeReport("small-scope", { command: "make soak SCHEDULES=0", figures: { scopes: scopes.length, states, violations } })
  return violations
}
