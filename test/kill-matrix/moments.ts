// How the tests notice each moment of a run: by the AgentTask, the run's view, the listener, and the worker's termination message.
// Used by matrix.kills.test.ts.
import { existsSync, readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { untilTask } from "../end-to-end/cluster.ts"
import { eventually } from "../end-to-end/process.ts"
import { untilRun } from "../end-to-end/server.ts"
import type { Moment } from "./cells.ts"
import { directoryOf, podOf } from "./pods.ts"
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

/** Completes when the run reaches the moment. */
export const reach = async (moment: Moment, id: string, listener: Listener, key: string): Promise<void> => {
  const task = taskAt(moment, id)
  switch (moment) {
    case "queued":
      return
    case "starting":
      return void await untilTask(task, "is there", () => true)
    case "planning":
      return void await untilTask(task, "runs", ({ status }) => status.claim !== undefined)
    case "plan saved":
      return void await untilRun(id, "has its plan saved", ({ planSha256 }) => planSha256 !== undefined, 90, 5) // the worker has little left to do
    case "applying":
      return listener.until(key, "two")
    case "state pushed":
      return listener.until(key, "five")
    case "reporting":
      return untilLastWords(await podOf(task))
  }
}
