// Says of an AgentTask that is not understood why nothing is done about it: a newer version made it, or an older CRD has dropped a part.
// Invariant: the sentence has no value of the task but a word of a closed list.
// Used by controller/reconcile/left-out.
import { Result } from "effect"
import { parse } from "../../schema/document/explain.ts"
import { programVersion } from "../../schema/program-version.ts"
import { AgentTask } from "../../schema/task/agent-task.ts"
import { unknownAt } from "./not-understood.ts"

const decode = parse(AgentTask, "ignore") // no task is left out for what it has beside

/** Where a newer version may have one word more. */
const words: ReadonlyArray<string> = ["spec.stage", "spec.engine.name"]

export const whyLeftOut = (task: unknown): string => {
  const [mistake] = Result.match(decode(task), { onFailure: (mistakes) => mistakes, onSuccess: () => [] })
  const unknown = mistake === undefined ? "this task" : unknownAt(task, mistake, words)
  return `The controller, of agent-job ${programVersion}, does not understand ${unknown}, so it does nothing about the task; upgrade the controller to the version of the CRD, or apply the newer CRD if that is the older of the two.`
}
