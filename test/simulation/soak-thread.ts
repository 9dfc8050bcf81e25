// One thread of a soak: runs every so many-th seed, and tells of each as soon as it is over: how it failed, or nothing.
// Always holds: a schedule is its seed's, whichever thread runs it and beside whatever else.
// Started by test/simulation/main, one for each processor.
import { Schema } from "effect"
import { parentPort, workerData } from "node:worker_threads"
import { runSeed, told } from "./run.ts"

const Share = Schema.Struct({ first: Schema.Int, end: Schema.Int, every: Schema.Int })

const { end, every, first } = Schema.decodeUnknownSync(Share)(workerData)
for (let seed = first; seed < end; seed += every) {
  const failure = runSeed(seed)
  parentPort?.postMessage(failure === undefined ? "" : told(failure))
}
