// Tells by its form whether a name that was typed is a run on the server or an AgentTask in the cluster, and which flags go with that.
// Used by logs, get, cancel, approve and get-kind.
import { Effect, Option, Schema } from "effect"
import { ObjectName, RunId } from "../../schema/names.ts"
import { BadInput } from "../terminal/failure.ts"
import { type ClusterFlags, type ServerFlags, usualTaskNamespace } from "./settings.ts"

export const isRunId = Schema.is(RunId)

export const isTaskName = Schema.is(ObjectName)

/** Returns why the flags do not go with what is asked, or undefined: who types them means another server or cluster than would be asked. */
export const astray = (
  asked: "server" | "cluster",
  { context, namespace, tokenFile, url }: ServerFlags & ClusterFlags
): string | undefined => {
  if (asked === "server" && (Option.isSome(context) || namespace !== usualTaskNamespace)) {
    return "--context and --namespace say where AgentTasks are, and this is asked of the server, which --url or AGENT_JOB_URL names; leave them out."
  }
  if (asked === "cluster" && (Option.isSome(url) || Option.isSome(tokenFile))) {
    return "--url and --token-file say where the server is, and this is asked of the cluster, which --context or KUBECONFIG names; leave them out."
  }
  return undefined
}

/** Returns what the name is of, by default a run. Fails if it can be of neither, or if flags were given that do not go with it. */
export const runOrTask = Effect.fnUntraced(function*(given: ServerFlags & ClusterFlags, name?: string) {
  if (name !== undefined && !isTaskName(name)) {
    return yield* new BadInput({ message: `${JSON.stringify(name)} is neither a run's id nor the name of an AgentTask.` })
  }
  const kind = name === undefined || isRunId(name) ? "run" : "task"
  const problem = astray(kind === "run" ? "server" : "cluster", given)
  return problem === undefined ? kind : yield* new BadInput({ message: problem })
})
