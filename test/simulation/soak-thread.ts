// One thread of a soak: runs its share of the seeds, and after each one posts how it failed, or "".
// Invariant: a schedule depends only on its seed, not on the thread that runs it or on what runs beside it.
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
