// Runs schedules by the number: `soak` as many as are asked for, with a report; `replay` one seed, made short and told step by step.
// Always holds: docs/reports/simulation.json has the figures of this very run; a run that ends early says how far it came.
// Started by scripts/soak and scripts/replay.
import { parseArgs } from "node:util"
import { writeReport } from "../scorecard/report.ts"
import { crashEverywhere, type ScenarioName, scenarios } from "./crash-points.ts"
import { type Failure, runSeed, told } from "./run.ts"

const { positionals: [command], values } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: "string", default: "1" }, schedules: { type: "string", default: "1000000" } }
})
const seed = Number(values.seed)

const soak = (schedules: number): ReadonlyArray<Failure> => {
  const began = performance.now()
  const failures: Array<Failure> = []
  let run = 0
  for (; run < schedules && failures.length < 10; run++) {
    const failure = runSeed(seed + run)
    if (failure !== undefined) {
      failures.push(failure)
      console.log(told(failure))
    }
    if (run % 10_000 === 9_999) console.log(`${run + 1} schedules, ${failures.length} failed`)
  }
  const seconds = (performance.now() - began) / 1000
  const crashes = Object.keys(scenarios).map((name) => crashEverywhere(name as ScenarioName))
  const wrong = crashes.flatMap((_) => _.wrong)
  for (const _ of wrong) console.log(_)
  writeReport("simulation", { command: `make soak SEED=${seed} SCHEDULES=${schedules}`, seed, figures: { schedules: run, violations: failures.length, schedulesPerSecond: Math.round(run / seconds), crashPoints: crashes.reduce((sum, { points }) => sum + points, 0), crashPointsFailed: wrong.length } })
  console.log(`${run} schedules from seed ${seed} in ${Math.round(seconds)} s, ${failures.length} of them broke an invariant`)
  return failures
}

const replay = (): ReadonlyArray<Failure> => {
  const failure = runSeed(seed)
  console.log(failure === undefined ? `seed ${seed} keeps all invariants` : told(failure))
  return failure === undefined ? [] : [failure]
}

process.exitCode = (command === "soak" ? soak(Number(values.schedules)) : replay()).length === 0 ? 0 : 1
