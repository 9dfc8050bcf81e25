// One thread of a soak: comes to all states of its share of the scopes, and posts what it found in each.
// Started by test/simulation/soak-small-scope, one for each processor.
import { Schema } from "effect"
import { parentPort, workerData } from "node:worker_threads"
import { explore } from "./small-scope.ts"
import { scopes } from "./soak-small-scope.ts"
import { Share } from "./threads.ts"

const { every, nth } = Schema.decodeUnknownSync(Share)(workerData)
for (const scope of scopes.filter((_, index) => index % every === nth)) {
  parentPort?.postMessage({ ...scope, ...explore(scope) })
}
