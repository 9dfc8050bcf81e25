// Which tasks may start now, and why the others wait: one decision over all tasks at once, so that the answers are consistent.
// No task is admitted beyond the limits. Slots go to the workspace with the fewest, then to the oldest task; in a workspace, its holder first.
// Called by controller/world/turns; its laws are in test/core/scheduling/admit.test.ts.
import { Option } from "effect"
import type { Uid } from "../../schema/names.ts"
import { mutates, type Stage } from "../../schema/task/agent-task.ts"
import { Turn } from "../task/observed.ts"
import type { TaskPolicy } from "../task/task-policy.ts"

export interface Candidate {
  readonly uid: Uid
  readonly name: string
  readonly workspace: string
  readonly stage: Stage
  readonly createdAt: string
  /** Whether the task has a slot already: it runs, it has a Job, its Job is being made, or it is between two launches. */
  readonly occupies: boolean
  /** Whether the task holds the workspace's Lease, so that no other task of the workspace can take it before this one is over. */
  readonly holds: boolean
  /** Whether the API server refuses the task's Job for now, for a reason that concerns this task alone. Other tasks go first then. */
  readonly refused: boolean
  /**
   * Whether the task would change a workspace whose Lease is held from outside these candidates, such as by a deleted task whose Pod is on
   * a node that does not answer.
   */
  readonly shutOut: boolean
}

const byAge = (a: Candidate, b: Candidate): number =>
  a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : a.uid < b.uid ? -1 : a.uid > b.uid ? 1 : 0

const goesLast = ({ refused, shutOut }: Candidate): boolean => refused || shutOut
const byRefusal = (a: Candidate, b: Candidate): number => Number(goesLast(a)) - Number(goesLast(b))
/** Orders the tasks of one workspace. */
const byRank = (a: Candidate, b: Candidate): number => Number(b.holds) - Number(a.holds) || byRefusal(a, b) || byAge(a, b)

/**
 * Returns the queue in order: the first task of each workspace, then the second of each, and so on, counting those that have a slot. Among
 * equals the oldest goes first, and tasks that are refused or shut out go last.
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
 * Returns the queue position to show: exact near the front, and the next power of two further back, because a queue of a thousand that
 * moves by one must not cause a thousand writes.
 */
export const shownPosition = (position: number): number => position <= 4 ? position : 2 ** Math.ceil(Math.log2(position))

const count = (counts: Map<string, number>, key: string): void => void counts.set(key, (counts.get(key) ?? 0) + 1)

const admitted = Turn.Admitted()

/** Returns the turn of each task. */
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
      turns.set(task.uid, admitted) // without a slot: the task looks at the Lease from time to time, and says who holds it
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
