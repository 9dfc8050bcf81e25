// Says in words what of a document is not understood here, and why nothing is done about an AgentTask of which that is so.
// Invariant: only a word of a closed list is quoted, and at most a short piece of a name: all else may be a secret.
// Used by core/task/offer and controller/reconcile/not-understood.
import { Result } from "effect"
import { type Mistake, parse, shown } from "../../schema/document/explain.ts"
import { valueAt } from "../../schema/document/layers.ts"
import { programVersion } from "../../schema/program-version.ts"
import { AgentTask } from "../../schema/task/agent-task.ts"
import { shortName } from "../text/sentence.ts"

/** Returns where the document has what is not understood, with its word if that is one of the `words`, which may be more by now. */
export const unknownAt = (document: unknown, { path }: Mistake, words: ReadonlyArray<string>): string => {
  const [place, value] = [shortName(shown(path)), valueAt(document, path)]
  return words.includes(place) && typeof value === "string" ? `${JSON.stringify(shortName(value))} at ${place}` : place
}

const decode = parse(AgentTask, "ignore") // what a task has beside is no reason

/** Where a newer version may have one word more. */
const wordsOfTask: ReadonlyArray<string> = ["spec.stage", "spec.engine.name"]

/** Says what of an AgentTask is not understood: a newer version made it, or an older CRD has dropped a part. */
export const whyNotUnderstood = (task: unknown): string => {
  const [mistake] = Result.match(decode(task), { onFailure: (mistakes) => mistakes, onSuccess: () => [] })
  const unknown = mistake === undefined ? "this task" : unknownAt(task, mistake, wordsOfTask)
  return `The controller, of agent-job ${programVersion}, does not understand ${unknown}, so it does nothing about the task; upgrade the controller to the version of the CRD, or apply the newer CRD if that is the older of the two.`
}
