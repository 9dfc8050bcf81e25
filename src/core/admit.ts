// Who may start now, and why the others wait: one decision over all tasks at once, so that every answer fits the others.
// Running tasks never exceed the limits; a slot goes to the workspace that has the fewest, then to the oldest task; who holds a workspace goes before the others of it.
// Called by controller/turns; its laws are in test/core/admit.test.ts.
import { Option } from "effect"
import { mutates, type Stage } from "../schema/agent-task.ts"
import type { Uid } from "../schema/names.ts"
import { Turn } from "./observed.ts"
import type { TaskPolicy } from "./task-policy.ts"

export interface Candidate {
  readonly uid: Uid
  readonly name: string
  readonly workspace: string
  readonly stage: Stage
  readonly createdAt: string
  /** It has a Job, or one is being made: it has its slot already. */
  readonly occupies: boolean
  /** It has the workspace's Lease, so that no other of its workspace can have it before this one is over. */
  readonly holds: boolean
  /** The API server does not make its Job for now, for what is its own alone, so that others go first. */
  readonly refused: boolean
  /**
   * It would change a workspace whose Lease one has that is none of these, such as a task that is gone and whose Pod is on a silent node.
   */
  readonly shutOut: boolean
}

const byAge = (a: Candidate, b: Candidate): number =>
  a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : a.uid < b.uid ? -1 : a.uid > b.uid ? 1 : 0

const goesLast = ({ refused, shutOut }: Candidate): boolean => refused || shutOut
const byRefusal = (a: Candidate, b: Candidate): number => Number(goesLast(a)) - Number(goesLast(b))
/** Within one workspace. */
const byRank = (a: Candidate, b: Candidate): number => Number(b.holds) - Number(a.holds) || byRefusal(a, b) || byAge(a, b)

/**
 * The order of the queue: each workspace's first, then each one's second …, counting what already runs; among equals the oldest; at the end
 * those that were refused, or are shut out.
 */
const inTurn = (waiting: ReadonlyArray<Candidate>, running: ReadonlyMap<string, number>): ReadonlyArray<Candidate> => {
  const seen = new Map(running)
  return [...waiting].sort(byRank).map((task) => {
    const round = seen.get(task.workspace) ?? 0
    seen.set(task.workspace, round + 1)
    return { task, round }
  }).sort((a, b) => byRefusal(a.task, b.task) || a.round - b.round || byAge(a.task, b.task)).map(({ task }) => task)
}

/**
 * Positions near the front are exact, further back the next power of two: a queue of a thousand that moves by one
 * must not be a thousand writes.
 */
export const shownPosition = (position: number): number => position <= 4 ? position : 2 ** Math.ceil(Math.log2(position))

const count = (counts: Map<string, number>, key: string): void => void counts.set(key, (counts.get(key) ?? 0) + 1)

const admitted = Turn.Admitted()

/** A turn for every task that is not over. */
export const admit = (tasks: ReadonlyArray<Candidate>, limits: TaskPolicy["limits"]): ReadonlyMap<Uid, Turn> => {
  const turns = new Map<Uid, Turn>()
  const perWorkspace = new Map<string, number>()
  const changing = new Map<string, string>() // workspace → the task that may change it
  let total = 0
  const take = (task: Candidate): void => {
    total++
    count(perWorkspace, task.workspace)
    if (mutates(task.stage)) changing.set(task.workspace, task.name)
    turns.set(task.uid, admitted)
  }
  for (const task of tasks) if (task.occupies) take(task)
  for (const { holds, name, workspace } of tasks) if (holds && !changing.has(workspace)) changing.set(workspace, name)

  let position = 0
  for (const task of inTurn(tasks.filter((_) => !_.occupies), perWorkspace)) {
    const other = mutates(task.stage) ? changing.get(task.workspace) : undefined
    const holder = other === task.name ? undefined : other
    const full = total >= limits.total || (perWorkspace.get(task.workspace) ?? 0) >= limits.perWorkspace
    if (holder === undefined && task.shutOut) {
      turns.set(task.uid, admitted) // without a slot: it looks at the Lease from time to time, and says who has it
      changing.set(task.workspace, task.name)
      continue
    }
    if (holder === undefined && !full) {
      take(task)
      continue
    }
    turns.set(
      task.uid,
      Turn.Waiting({
        reason: holder === undefined ? "ConcurrencyLimit" : "WorkspaceBusy",
        position: shownPosition(++position),
        blockedBy: Option.fromUndefinedOr(holder)
      })
    )
    if (mutates(task.stage) && holder === undefined) changing.set(task.workspace, task.name) // the next one waits for this one
  }
  return turns
}
