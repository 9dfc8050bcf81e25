// Which finished tasks are past the history limit of their workspace, or of the installation; plans are counted apart from the others.
// Invariant: a workspace is counted again only when one of its tasks, or the limit, has changed; an event does not sort all tasks.
// Used by controller/world/world.
import { Array, Option, Order } from "effect"
import { ageKey, historyOf, mayExpire, mostFinished } from "../../core/reconcile/history.ts"
import { keyOf } from "../../kubernetes/object.ts"
import type { WorkspaceName } from "../../schema/names.ts"
import { type AgentTask, mutates } from "../../schema/task/agent-task.ts"

/** One end puts one task past the limit of the installation, or few. All others were named when they went past it, or when the lead began. */
const mostNamed = 20

/** Up to so many changes are made one by one. After more, as after a listing, all tasks are sorted once. */
const mostMoves = 100

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

const orderOf = (task: AgentTask): string => `${ageKey(task)} ${task.metadata.uid}`

const byOrder = (tasks: ReadonlyArray<AgentTask>): ReadonlyMap<string, Entry> =>
  new Map(tasks.map((task) => [orderOf(task), { order: orderOf(task), key: keyOf(task.metadata) }]))

/** Returns where the entry of this order is, or would be, in a list that begins with the oldest. */
const indexIn = (oldestFirst: ReadonlyArray<Entry>, order: string): number => {
  let [low, high] = [0, oldestFirst.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((oldestFirst[middle]?.order ?? "") < order) low = middle + 1
    else high = middle
  }
  return low
}

const less = (some: ReadonlyMap<string, Entry>, others: ReadonlyMap<string, Entry>): ReadonlyArray<Entry> =>
  [...some.values()].filter(({ order }) => !others.has(order))

/** A workspace that has changed, and its finished tasks of one kind, newest first. */
interface Changed {
  readonly workspace: WorkspaceName
  readonly tasks: ReadonlyArray<AgentTask>
}

/** Counts the finished tasks of one kind. Up to `limit` are kept in each workspace, and up to `most` in all workspaces together. */
const oneKind = (limit: () => number, most: number) => {
  const counted = new Map<WorkspaceName, Counted>()
  let kept: Array<Entry> = [] // within the limits of their workspaces, oldest first

  /** Returns which entries are no longer within the limit of the workspace, and which have come to be. */
  const count = ({ tasks, workspace }: Changed) => {
    const before = counted.get(workspace) ?? none
    const now = { within: byOrder(tasks.slice(0, limit())), past: byOrder(tasks.slice(limit())) }
    if (tasks.length === 0) counted.delete(workspace)
    else counted.set(workspace, now)
    return { gone: less(before.within, now.within), come: less(now.within, before.within) }
  }

  return {
    recount: (changed: ReadonlyArray<Changed>): void => {
      const moves = changed.map(count)
      if (moves.reduce((sum, { come, gone }) => sum + come.length + gone.length, 0) > mostMoves) {
        kept = Array.sortWith([...counted.values()].flatMap(({ within }) => [...within.values()]), ({ order }) => order, Order.String)
        return
      }
      for (const { order } of moves.flatMap(({ gone }) => gone)) kept.splice(indexIn(kept, order), 1)
      for (const entry of moves.flatMap(({ come }) => come)) kept.splice(indexIn(kept, entry.order), 0, entry)
    },
    counts: (workspace: WorkspaceName): boolean => counted.has(workspace),
    has: (task: AgentTask): boolean => {
      const order = orderOf(task)
      if (counted.get(task.spec.workspace)?.past.has(order) === true) return true
      const index = indexIn(kept, order)
      return index < kept.length - most && kept[index]?.order === order
    },
    keysIn: (workspace: WorkspaceName): ReadonlyArray<string> => {
      const beyond = Math.max(kept.length - most, 0)
      const { past } = counted.get(workspace) ?? none
      return [...past.values(), ...kept.slice(Math.max(beyond - mostNamed, 0), beyond)].map(({ key }) => key)
    }
  }
}

export const pastHistory = (limit: () => number, most = mostFinished) => {
  const workspaces = new Map<WorkspaceName, Map<string, AgentTask>>() // workspace → key → task
  const changed = new Set<WorkspaceName>()
  const [plans, applies] = [oneKind(limit, most.plans), oneKind(limit, most.applies)]
  const kindOf = ({ spec: { stage } }: AgentTask) => mutates(stage) ? applies : plans

  const countChanged = (): void => {
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
    if (all.size > 0 || plans.counts(workspace) || applies.counts(workspace)) changed.add(workspace)
    else changed.delete(workspace) // as if it had never been, even if nobody ever asks
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
