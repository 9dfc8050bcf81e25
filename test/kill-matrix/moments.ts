// How each moment of a run is noticed, by what anybody can see: the AgentTask, the run's view, and the listener that things are told to.
// Used by matrix.kills.test.ts.
import { untilTask } from "../end-to-end/cluster.ts"
import { untilRun } from "../end-to-end/server.ts"
import type { Moment } from "./cells.ts"
import type { Listener } from "./workload.ts"

/** Completes when the run is there; gives the task that it is at. */
export const reach = async (moment: Moment, id: string, listener: Listener, key: string): Promise<string> => {
  const [plan, apply] = [`${id}-plan`, `${id}-apply`]
  switch (moment) {
    case "queued": return plan
    case "starting":
      await untilTask(plan, "is there", () => true)
      return plan
    case "planning":
      await untilTask(plan, "runs", ({ status }) => status.claim !== undefined)
      return plan
    case "plan saved":
      await untilRun(id, "has its plan saved", ({ planSha256 }) => planSha256 !== undefined)
      return plan
    case "applying":
      await listener.until(key, "two")
      return apply
    case "state pushed":
      await listener.until(key, "five")
      return apply
    case "reporting":
      await untilTask(apply, "has its result", ({ status }) => status.result !== undefined, 120)
      return apply
  }
}
