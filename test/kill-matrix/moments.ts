// How each moment of a run is noticed, by what anybody can see: the AgentTask, the run's view, and the listener that things are told to.
// Used by matrix.kills.test.ts.
import { untilTask } from "../end-to-end/cluster.ts"
import { untilRun } from "../end-to-end/server.ts"
import type { Moment } from "./cells.ts"
import type { Listener } from "./workload.ts"

/** The task that is at work then. */
export const taskAt = (moment: Moment, id: string): string =>
  moment === "applying" || moment === "state pushed" || moment === "reporting" ? `${id}-apply` : `${id}-plan`

/** Completes when the run is there. */
export const reach = async (moment: Moment, id: string, listener: Listener, key: string): Promise<void> => {
  const task = taskAt(moment, id)
  switch (moment) {
    case "queued": return
    case "starting": return void await untilTask(task, "is there", () => true)
    case "planning": return void await untilTask(task, "runs", ({ status }) => status.claim !== undefined)
    case "plan saved": return void await untilRun(id, "has its plan saved", ({ planSha256 }) => planSha256 !== undefined, 90, 5) // the worker has little left to do
    case "applying": return listener.until(key, "two")
    case "state pushed": return listener.until(key, "five")
    case "reporting": return void await untilTask(task, "has its result", ({ status }) => status.result !== undefined, 120)
  }
}
