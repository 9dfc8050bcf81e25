// One thread of a soak: runs its share of the pairs of crashes, and after each one posts what went wrong, or "".
// Invariant: the shares have each pair once.
// Started by test/simulation/soak-crashes, one for each processor.
import { Schema } from "effect"
import { parentPort, workerData } from "node:worker_threads"
import { pairsOf } from "./crash-pairs.ts"
import { scenarioNames } from "./pinned-points.ts"
import { Share } from "./threads.ts"

const { every, nth } = Schema.decodeUnknownSync(Share)(workerData)
for (const name of scenarioNames) {
  for (const run of pairsOf(name, "all", (at) => at % every === nth)) parentPort?.postMessage(run())
}
