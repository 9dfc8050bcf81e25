// What `agent-job get` is asked for, and which of its other arguments go with that.
// Pure.
// Used by get.
import { Option, Schema } from "effect"
import { WorkspaceName } from "../../schema/names.ts"
import { isRunId, isTaskName } from "./run-or-task.ts"

const lists = ["runs", "workspaces", "pools", "tasks", "audit"] as const
export type Kind = (typeof lists)[number] | "run" | "task" | "workspace"

/** Returns what kind of thing is asked for. A list may be called by its singular, too. */
export const kindOf = (what: string): Option.Option<Kind> => {
  const list = lists.find((list) => what === list || `${what}s` === list)
  return list !== undefined
    ? Option.some(list)
    : isRunId(what)
    ? Option.some("run")
    : isTaskName(what)
    ? Option.some("task")
    : Option.none()
}

/** The arguments that narrow down what is shown. */
export interface Narrowing {
  readonly workspace: Option.Option<string>
  readonly name: Option.Option<string>
  /** The number of an entry, or a run's id. */
  readonly before: Option.Option<number | string>
}

/** The lists that take each of them, and how it is called. */
const takers: ReadonlyArray<{ readonly argument: keyof Narrowing; readonly called: string; readonly lists: ReadonlyArray<Kind> }> = [
  { argument: "workspace", called: "--workspace", lists: ["runs", "audit"] },
  { argument: "name", called: "A second name", lists: ["runs", "workspaces", "tasks", "audit"] },
  { argument: "before", called: "--before", lists: ["runs", "audit"] }
]

const isWorkspaceName = Schema.is(WorkspaceName)

/** Returns what is wrong with a name for that list, or undefined. */
const noName = (kind: Kind, name: string): string | undefined => {
  const given = JSON.stringify(name)
  if (kind === "tasks") return isTaskName(name) ? undefined : `${given} cannot be the name of an AgentTask.`
  if (kind === "workspaces") return isWorkspaceName(name) ? undefined : `${given} cannot be the name of a workspace.`
  return isRunId(name) || isWorkspaceName(name) ? undefined : `${given} is neither the name of a workspace nor a run's id.`
}

/** Returns what is asked for with this name, of runs, workspaces and tasks the one that it names. Other lists are narrowed down by it. */
export const oneOf = (kind: Kind, name: Option.Option<string>): Kind => {
  if (kind === "runs" && Option.exists(name, isRunId)) return "run"
  if (Option.isNone(name)) return kind
  return kind === "tasks" ? "task" : kind === "workspaces" ? "workspace" : kind
}

/** Returns why these arguments do not go with each other, or undefined. */
export const refusalOf = (kind: Kind, given: Narrowing): string | undefined => {
  const useless = takers.find(({ argument, lists }) =>
    given[argument]._tag === "Some" && !lists.includes(argument === "name" ? kind : oneOf(kind, given.name))
  )
  if (useless !== undefined) {
    return `${useless.called} works only with: agent-job get ${useless.lists.join("|")}`
  }
  if (Option.exists(given.before, (before) => (typeof before === "number") !== (kind === "audit"))) {
    return "--before is a run's id with agent-job get runs, and the number of an entry with agent-job get audit."
  }
  if (Option.isNone(given.name)) return undefined
  return Option.isSome(given.workspace) ? "Give either a name or --workspace, not both." : noName(kind, given.name.value)
}
