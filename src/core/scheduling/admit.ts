// Which tasks may start now, and why the others wait: one decision over all tasks at once, so that the answers are consistent.
// No task is admitted beyond the limits. Slots go to the workspace with the fewest, then to the oldest task; in a workspace, its holder first.
// Called by controller/world/turns; its laws are in test/core/scheduling/admit.test.ts.
import type { Uid } from "../../schema/names.ts"
import { type AgentTask, mutates } from "../../schema/task/agent-task.ts"
import { Turn } from "../task/observed.ts"
import type { TaskPolicy } from "../task/task-policy.ts"

/** What is asked of a task here. */
export interface Admissible {
  readonly metadata: Pick<AgentTask["metadata"], "uid" | "name" | "creationTimestamp">
  readonly spec: Pick<AgentTask["spec"], "workspace" | "stage">
}

/** A task without a slot. */
export interface Candidate {
  readonly task: Admissible
  /** Whether the task holds the workspace's Lease, so that no other task of the workspace can take it before this one is over. */
  readonly holds: boolean
  /** Whether the API server refuses the task's Job for now, for a reason that concerns this task alone. Other tasks go first then. */
  readonly refused: boolean
  /**
   * Whether the task would change a workspace whose Lease is held from outside the tasks given here, such as by a deleted task whose Pod is
   * on a node that does not answer.
   */
  readonly shutOut: boolean
}

const compared = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0
const byAge = ({ task: { metadata: a } }: Candidate, { task: { metadata: b } }: Candidate): number =>
  compared(a.creationTimestamp, b.creationTimestamp) || compared(a.uid, b.uid)

const goesLast = ({ refused, shutOut }: Candidate): boolean => refused || shutOut
const byGoingLast = (a: Candidate, b: Candidate): number => Number(goesLast(a)) - Number(goesLast(b))
/** Orders the tasks of one workspace. */
const byRank = (a: Candidate, b: Candidate): number => Number(b.holds) - Number(a.holds) || byGoingLast(a, b) || byAge(a, b)

/**
 * Returns the queue in order: the first task of each workspace, then the second of each, and so on, counting those that have a slot. Among
 * equals the oldest goes first, and tasks that are refused or shut out go last.
 */
const inTurn = (waiting: ReadonlyArray<Candidate>, running: ReadonlyMap<string, number>): ReadonlyArray<Candidate> => {
  const seen = new Map(running)
  return [...waiting].sort(byRank).map((candidate) => {
    const { workspace } = candidate.task.spec
    const round = seen.get(workspace) ?? 0
    seen.set(workspace, round + 1)
    return { candidate, round }
  }).sort((a, b) => byGoingLast(a.candidate, b.candidate) || a.round - b.round || byAge(a.candidate, b.candidate)).map(
    ({ candidate }) => candidate
  )
}

/**
 * Returns the queue position to show, rounded up to a power of four, because each place that a task is told of is a write of its status and
 * a notice to its pool.
 */
export const shownPosition = (position: number): number => 4 ** Math.ceil(Math.log2(position) / 2)

/**
 * How many that wait for a workspace are told which task goes before them, because that one may change with each task that ends or is
 * cancelled, and thousands may wait for one workspace.
 */
const mostNear = 4

const count = (counts: Map<string, number>, key: string): number => {
  const next = (counts.get(key) ?? 0) + 1
  counts.set(key, next)
  return next
}

const admitted = Turn.Admitted()

/**
 * Returns the turn of each candidate. `occupants` are the tasks that have a slot: they run, have a Job, their Job is being made, or they are
 * between two launches. There may be thousands of them, so nothing is made for each.
 */
export const admit = (
  occupants: Iterable<Admissible>,
  candidates: ReadonlyArray<Candidate>,
  limits: TaskPolicy["limits"]
): ReadonlyMap<Uid, Turn> => {
  const turns = new Map<Uid, Turn>()
  const perWorkspace = new Map<string, number>()
  const busy = new Map<string, number>() // workspace → how many wait for another task that may change it
  const changing = new Map<string, string>() // workspace → the task that may change it
  let total = 0
  const take = ({ metadata: { name }, spec: { stage, workspace } }: Admissible): void => {
    total++
    count(perWorkspace, workspace)
    if (mutates(stage)) changing.set(workspace, name)
  }
  for (const task of occupants) take(task)
  for (const { holds, task: { metadata: { name }, spec: { workspace } } } of candidates) {
    if (holds && !changing.has(workspace)) changing.set(workspace, name)
  }

  let position = 0
  for (const { shutOut, task } of inTurn(candidates, perWorkspace)) {
    const { metadata: { name, uid }, spec: { stage, workspace } } = task
    const other = mutates(stage) ? changing.get(workspace) : undefined
    const holder = other === name ? undefined : other
    const limit = (perWorkspace.get(workspace) ?? 0) >= limits.perWorkspace
      ? "perWorkspace" // also where both are reached: with more in all, this task would still wait
      : total >= limits.total
      ? "total"
      : undefined
    if (holder !== undefined) {
      const isNear = count(busy, workspace) <= mostNear
      turns.set(uid, Turn.Waiting({ position: shownPosition(++position), why: { reason: "WorkspaceBusy", blockedBy: holder, isNear } }))
    } else if (shutOut) {
      turns.set(uid, admitted) // without a slot: the task looks at the Lease from time to time, and says who holds it
      changing.set(workspace, name)
    } else if (limit === undefined) {
      turns.set(uid, admitted)
      take(task)
    } else {
      turns.set(uid, Turn.Waiting({ position: shownPosition(++position), why: { reason: "ConcurrencyLimit", limit } }))
      if (mutates(stage)) changing.set(workspace, name) // the next one waits for this one
    }
  }
  return turns
}
