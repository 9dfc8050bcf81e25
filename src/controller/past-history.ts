// Which finished tasks are past the history limit of their workspace.
// Always holds: a workspace is counted again only when one of its tasks, or the limit, has changed.
// Used by controller/world.
import { Option } from "effect"
import { expired, mayExpire } from "../core/history.ts"
import type { AgentTask } from "../schema/agent-task.ts"
import type { Uid, WorkspaceName } from "../schema/names.ts"

export const pastHistory = (limit: () => number) => {
  const workspaces = new Map<WorkspaceName, Map<string, AgentTask>>() // workspace → key → task
  const counted = new Map<WorkspaceName, ReadonlySet<Uid>>()

  const tasksOf = (workspace: WorkspaceName): ReadonlyArray<readonly [key: string, task: AgentTask]> => [...workspaces.get(workspace) ?? []]
  const of = (workspace: WorkspaceName): ReadonlySet<Uid> => {
    const past = counted.get(workspace) ?? expired(tasksOf(workspace).map(([, task]) => task), limit())
    counted.set(workspace, past)
    return past
  }
  const put = (key: string, { spec: { workspace } }: AgentTask, task: Option.Option<AgentTask>): void => {
    const all = workspaces.get(workspace) ?? new Map<string, AgentTask>()
    Option.match(task, { onNone: () => all.delete(key), onSome: (task) => all.set(key, task) })
    if (all.size > 0) workspaces.set(workspace, all)
    else workspaces.delete(workspace)
    counted.delete(workspace)
  }

  return {
    has: (task: AgentTask): boolean => mayExpire(task) && of(task.spec.workspace).has(task.metadata.uid),
    keysIn: (workspace: WorkspaceName): ReadonlyArray<string> => {
      const past = of(workspace)
      return past.size === 0 ? [] : tasksOf(workspace).flatMap(([key, { metadata }]) => past.has(metadata.uid) ? [key] : [])
    },
    /** Replaces the task at the key. */
    set: (key: string, before: Option.Option<AgentTask>, after: Option.Option<AgentTask>): void => {
      if (Option.isSome(before)) put(key, before.value, Option.none())
      if (Option.isSome(after)) put(key, after.value, after)
    },
    limitChanged: (): void => counted.clear()
  }
}
