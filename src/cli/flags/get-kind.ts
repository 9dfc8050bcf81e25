// What `agent-job get` is asked for, and which of its other arguments go with that.
// Pure.
// Used by get.
import { Option, Schema } from "effect"
import { WorkspaceName } from "../../schema/names.ts"
import { isRunId, isTaskName } from "./run-or-task.ts"

const lists = ["runs", "workspaces", "pools", "tasks", "audit"] as const
export type Kind = (typeof lists)[number] | "run" | "task"

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
  readonly before: Option.Option<number>
}

/** The lists that take each of them, and how it is called. */
const takers: ReadonlyArray<{ readonly argument: keyof Narrowing; readonly called: string; readonly lists: ReadonlyArray<Kind> }> = [
  { argument: "workspace", called: "--workspace", lists: ["runs", "audit"] },
  { argument: "name", called: "A second name", lists: ["audit"] },
  { argument: "before", called: "--before", lists: ["audit"] }
]

const isWorkspaceName = Schema.is(WorkspaceName)

/** Returns why these arguments do not go with each other, or undefined. */
export const refusalOf = (kind: Kind, given: Narrowing): string | undefined => {
  const name = Option.getOrUndefined(given.name)
  const useless = takers.find(({ argument, lists }) => given[argument]._tag === "Some" && !lists.includes(kind))
  if (useless !== undefined) {
    const commands = useless.lists.map((list) => `agent-job get ${list}`).join(", and ")
    return `${useless.called} works only with: ${commands}${useless.argument === "name" ? ` ${name}` : ""}`
  }
  if (name !== undefined && Option.isSome(given.workspace)) return "Give the workspace either as a name or with --workspace, not both."
  return name === undefined || isRunId(name) || isWorkspaceName(name)
    ? undefined
    : `${JSON.stringify(name)} is neither the name of a workspace nor a run's id, of which agent-job get audit shows the entries.`
}
