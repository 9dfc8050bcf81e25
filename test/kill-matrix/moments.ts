// How the tests notice each moment of a run: by the AgentTask, the run's view, the listener, and the worker's termination message.
// Used by matrix.kills.test.ts.
import { existsSync, readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { untilTask } from "../end-to-end/cluster.ts"
import { eventually, overdue } from "../end-to-end/process.ts"
import { runOf, untilRun } from "../end-to-end/server.ts"
import type { Cell, Moment } from "./cells.ts"
import { directoryOf, podOf } from "./pods.ts"
import { freeze, thaw } from "./processes.ts"
import { running, worker } from "./targets.ts"
import type { Listener } from "./workload.ts"

/** Returns the task that is at work at this moment. */
export const taskAt = (moment: Moment, id: string): string =>
  moment === "applying" || moment === "state pushed" || moment === "reporting" ? `${id}-apply` : `${id}-plan`

/** Waits for the worker's termination message, which it writes as it begins to report. */
const untilLastWords = async (pod: string): Promise<void> => {
  const place = join(await directoryOf(pod), "containers/worker")
  const written = () => existsSync(place) && readdirSync(place).some((file) => statSync(join(place, file)).size > 0)
  await eventually(`the last words in ${place}`, () => written() ? true : undefined, { everyMillis: 1, seconds: 120 })
}

/**
 * Waits for the plan while the worker stands still at each look, and leaves it so when the plan is saved: it has so little left to do that it
 * may else have ended before anybody knows.
 */
const untilSaved = async (id: string, pod: string): Promise<void> => {
  const pids = await running(pod, worker)
  const clock = new Int32Array(new SharedArrayBuffer(4))
  for (const deadline = Date.now() + 90_000; Date.now() < deadline;) {
    const still = freeze(pids)
    if ((await runOf(id)).planSha256 !== undefined) return
    thaw(still)
    Atomics.wait(clock, 0, 0, 5) // nothing else of this process comes between
  }
  throw overdue(`${id}: has its plan saved`, 90, "none")
}

/** Completes when the run reaches the moment. */
export const reach = async ({ moment, target }: Cell, id: string, listener: Listener, key: string): Promise<void> => {
  const task = taskAt(moment, id)
  switch (moment) {
    case "queued":
      return
    case "starting":
      return void await untilTask(task, "is there", () => true)
    case "planning":
      return void await untilTask(task, "runs", ({ status }) => status.claim !== undefined)
    case "plan saved":
      return target === "worker" || target === "worker out of memory"
        ? untilSaved(id, await podOf(task))
        : void await untilRun(id, "has its plan saved", ({ planSha256 }) => planSha256 !== undefined, 90, 5)
    case "applying":
      return listener.until(key, "two")
    case "state pushed":
      return listener.until(key, "five")
    case "reporting":
      return untilLastWords(await podOf(task))
  }
}
