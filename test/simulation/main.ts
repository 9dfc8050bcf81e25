// `soak` runs as many schedules as are asked for, all crashes and all orders of a small scope; `replay` one seed, whose failure is shortened.
// Invariant: each part of a soak leaves a report of its own in docs/reports; one that ends early has the number of schedules that it ran.
// Started by scripts/soak and scripts/replay.
import { parseArgs } from "node:util"
import { writeReport } from "../scorecard/report.ts"
import { runSeed, told } from "./run.ts"
import { runCrashes } from "./soak-crashes.ts"
import { runSmallScope } from "./soak-small-scope.ts"
import { inThreads } from "./threads.ts"

const { positionals: [command], values } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: "string", default: "1" }, schedules: { type: "string", default: "1000000" } }
})
const seed = Number(values.seed)

/** Runs the schedules in one thread for each processor; returns how many failed. */
const runSchedules = async (schedules: number): Promise<number> => {
  const began = performance.now()
  let run = 0
  let failed = 0
  const hear = (failure: string) => {
    run++
    if (failure !== "") {
      failed++
      console.log(failure)
    }
    if (run % 10_000 === 0) console.log(`${run} schedules, ${failed} failed`)
    return failed >= 10 ? "enough" : undefined
  }
  const share = (nth: number, every: number) => ({ first: seed + nth, end: seed + schedules, every })
  await inThreads({ file: new URL("./soak-thread.ts", import.meta.url), share, hear })
  const seconds = (performance.now() - began) / 1000
  writeReport("simulation", {
    command: `make soak SEED=${seed} SCHEDULES=${schedules}`,
    seed,
    figures: { schedules: run, violations: failed, schedulesPerSecond: Math.round(run / seconds) }
  })
  console.log(`${run} schedules from seed ${seed} in ${Math.round(seconds)} s, ${failed} of them broke an invariant`)
  return failed
}

/** Without schedules, the report of those that ran last is left as it is. */
const soak = async (schedules: number): Promise<number> =>
  (schedules === 0 ? 0 : await runSchedules(schedules)) + await runCrashes() + await runSmallScope()

const replay = (): number => {
  const failure = runSeed(seed)
  console.log(failure === undefined ? `seed ${seed} keeps all invariants` : told(failure))
  return failure === undefined ? 0 : 1
}

process.exitCode = (command === "soak" ? await soak(Number(values.schedules)) : replay()) === 0 ? 0 : 1
