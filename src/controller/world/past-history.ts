// Which finished tasks are past the history limit of their workspace, or of the installation; plans are counted apart from the others.
// Invariant: a workspace is counted again only when one of its tasks, or the limit, has changed.
// Used by controller/world/world.
import { Option } from "effect"
import { historyOf, mayExpire, mostFinished, place } from "../../core/reconcile/history.ts"
import { keyOf } from "../../kubernetes/object.ts"
import type { WorkspaceName } from "../../schema/names.ts"
import { type AgentTask, mutates } from "../../schema/task/agent-task.ts"

/** One end puts one task past the limit of the installation, or few. All others were named when they went past it, or when the lead began. */
const mostNamed = 20

interface Entry {
  /** By age, and no two alike. */
  readonly order: string
  readonly key: string
}

/** A workspace's finished tasks of one kind by their order: those within its limit, and those past it. */
interface Counted {
  readonly within: ReadonlyMap<string, Entry>
  readonly past: ReadonlyMap<string, Entry>
}
const none: Counted = { within: new Map(), past: new Map() }

const orderOf = (task: AgentTask): string => `${place(task)} ${task.metadata.uid}`

const byOrder = (tasks: ReadonlyArray<AgentTask>): ReadonlyMap<string, Entry> =>
  new Map(tasks.map((task) => [orderOf(task), { order: orderOf(task), key: keyOf(task.metadata) }]))

/** A workspace that has changed, and its finished tasks of one kind, newest first. */
interface Changed {
  readonly workspace: WorkspaceName
  readonly tasks: ReadonlyArray<AgentTask>
}

/** Counts the finished tasks of one kind. Up to `limit` are kept in each workspace, and up to `most` in all workspaces together. */
const oneKind = (limit: () => number, most: number) => {
  const counted = new Map<WorkspaceName, Counted>()
  let kept: ReadonlyArray<Entry> = [] // within the limits of their workspaces, oldest first

  return {
    recount: (changed: ReadonlyArray<Changed>): void => {
      const within = () => changed.flatMap(({ workspace }) => [...counted.get(workspace)?.within.values() ?? []])
      const before = new Set(within())
      for (const { tasks, workspace } of changed) {
        if (tasks.length === 0) counted.delete(workspace)
        else counted.set(workspace, { within: byOrder(tasks.slice(0, limit())), past: byOrder(tasks.slice(limit())) })
      }
      kept = [...kept.filter((entry) => !before.has(entry)), ...within()].sort((a, b) => a.order < b.order ? -1 : 1)
    },
    has: (task: AgentTask): boolean => {
      const { past, within } = counted.get(task.spec.workspace) ?? none
      const order = orderOf(task)
      return past.has(order) || within.has(order) && order < (kept.at(-most)?.order ?? "")
    },
    keysIn: (workspace: WorkspaceName): ReadonlyArray<string> => {
      const { past } = counted.get(workspace) ?? none
      return [...past.values(), ...kept.slice(0, Math.max(kept.length - most, 0)).slice(-mostNamed)].map(({ key }) => key)
    }
  }
}

export const pastHistory = (limit: () => number, most = mostFinished) => {
  const workspaces = new Map<WorkspaceName, Map<string, AgentTask>>() // workspace → key → task
  const changed = new Set<WorkspaceName>()
  const [plans, applies] = [oneKind(limit, most.plans), oneKind(limit, most.applies)]
  const kindOf = ({ spec: { stage } }: AgentTask) => mutates(stage) ? applies : plans

  const countChanged = (): void => {
    if (changed.size === 0) return
    const all = [...changed].map((workspace) => ({ workspace, tasks: historyOf([...workspaces.get(workspace)?.values() ?? []]) }))
    changed.clear()
    for (const kind of [plans, applies]) {
      kind.recount(all.map(({ tasks, workspace }) => ({ workspace, tasks: tasks.filter((task) => kindOf(task) === kind) })))
    }
  }
  const put = (key: string, { spec: { workspace } }: AgentTask, task: Option.Option<AgentTask>): void => {
    const all = workspaces.get(workspace) ?? new Map<string, AgentTask>()
    Option.match(task, { onNone: () => all.delete(key), onSome: (task) => all.set(key, task) })
    if (all.size > 0) workspaces.set(workspace, all)
    else workspaces.delete(workspace)
    changed.add(workspace)
  }

  return {
    has: (task: AgentTask): boolean => {
      if (!mayExpire(task)) return false
      countChanged()
      return kindOf(task).has(task)
    },
    /** Returns the keys of those of the workspace that are past its limit, and of the last that went past the installation's. */
    keysIn: (workspace: WorkspaceName): ReadonlyArray<string> => {
      countChanged()
      return [plans, applies].flatMap((kind) => kind.keysIn(workspace))
    },
    /** Replaces the task at the key. */
    set: (key: string, before: Option.Option<AgentTask>, after: Option.Option<AgentTask>): void => {
      if (Option.isSome(before)) put(key, before.value, Option.none())
      if (Option.isSome(after)) put(key, after.value, after)
    },
    limitChanged: (): void => {
      for (const workspace of workspaces.keys()) changed.add(workspace)
    }
  }
}

export type PastHistory = Pick<ReturnType<typeof pastHistory>, "has" | "keysIn">
