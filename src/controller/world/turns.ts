// Which tasks may start: which of them have a slot, were refused one, hold a workspace or were told to wait.
// Changes only in synchronous steps, so that a decision and the slot it takes are never apart; all turns are computed anew after a change that matters.
// Used by controller/world/world, which tells it of each change; how turns are shared out is in core/scheduling/admit.
import { Option } from "effect"
import { waitsForSource } from "../../core/reconcile/flux-source.ts"
import { tellsOf } from "../../core/reconcile/waiting.ts"
import { admit, type Candidate } from "../../core/scheduling/admit.ts"
import { heldBack } from "../../core/scheduling/draining.ts"
import { waitsForProof } from "../../core/scheduling/isolation.ts"
import { Turn } from "../../core/task/observed.ts"
import { isCalledOff, isOfNewerVersion, isOver } from "../../core/task/status.ts"
import type { TaskPolicy } from "../../core/task/task-policy.ts"
import type { Uid, WorkspaceName } from "../../schema/names.ts"
import { type AgentTask, mutates } from "../../schema/task/agent-task.ts"
import type { Cache } from "./cache.ts"
import type { HeldRefusals } from "./held-refusals.ts"

/** Why nothing new starts, whatever the limits leave room for. */
export const holdReasons = ["Draining", "IsolationUnproven"] as const
type HoldReason = (typeof holdReasons)[number]

export interface Turns {
  /** Whether the task has a slot. */
  readonly occupies: (task: AgentTask) => boolean
  readonly of: (task: AgentTask) => Turn
  /** The keys of the tasks that are not over and have no slot. */
  readonly waiting: () => ReadonlyArray<string>
  /**
   * The keys of those that may start now, or whose status says something else of their turn. A pass changes nothing of any other but which
   * limit it names: that alone is not worth a write for each of thousands.
   */
  readonly untold: () => ReadonlyArray<string>
  /**
   * The keys of the tasks that were told to wait and may start now; empty unless a slot or a workspace has become free since the last call.
   */
  readonly calledUp: () => ReadonlyArray<string>
  /** Whether it is known which task has the workspace's Lease, or that none has. */
  readonly knowsHolder: (workspace: WorkspaceName) => boolean
  /** Whether a slot is taken for the task, and no informer has reported its Job yet. */
  readonly isReserved: (taskUid: string) => boolean
  /** Whether any pass that decided to make a Job has not ended, so that the Job may still be made. */
  readonly launching: () => boolean

  /** How many tasks of no pool wait because nothing new starts for this reason; a pool, which is told why its own wait, counts those. */
  readonly heldBack: (reason: HoldReason) => number

  /** Sets whether the cluster is drained: while it is, no task begins. Reports whether that is a change. */
  readonly setDrained: (drained: boolean) => boolean
  /** Sets whether the isolation of tasks is proven; it is not before the first call. Reports whether that is a change. */
  readonly setProven: (proven: boolean) => boolean
  readonly isProven: () => boolean
  /** Takes a slot for the task, before its Job is made. */
  readonly reserve: (taskUid: string) => void
  /** Gives back the slot that was taken for the task, because no Job will come of it. */
  readonly giveBack: (taskUid: string) => void
  /** Records that the pass over the task has ended, however it ended. */
  readonly passEnded: (taskUid: string) => void
  /** Records what a look at the workspace's Lease showed: the UID of its holder, or that no task has it. */
  readonly setHolder: (workspace: WorkspaceName, holder: Option.Option<string>) => void
}

/** What the world tells the turns. */
interface TurnEvents {
  /** Something outside of this file that turns depend on has changed. */
  readonly changed: () => void
  /** A task changes. This is called before the cache has the change, so that the cache still shows whether the task had a slot. */
  readonly taskChanges: (before: Option.Option<AgentTask>, task: Option.Option<AgentTask>) => void
  /** An informer reported the Job of this task, or that it is gone. */
  readonly jobHeard: (taskUid: string, isGone: boolean) => void
  /** A pass over the task saw its turn. */
  readonly passSaw: (taskUid: string, turn: Turn) => void
  readonly forget: (task: AgentTask) => void
}

const holdTurns: Readonly<Record<HoldReason, Turn>> = { Draining: heldBack, IsolationUnproven: waitsForProof }

export const make = (
  cache: Pick<Cache, "job" | "keyOf" | "task" | "taskByUid" | "tasks">,
  policy: () => TaskPolicy,
  refusals: Pick<HeldRefusals, "countAnew" | "forget" | "isPassedOver" | "liftQuota">
): { readonly turns: Turns; readonly events: TurnEvents } => {
  let drained = false
  let proven = false
  const reserved = new Set<string>()
  const launching = new Set<string>()
  const holders = new Map<WorkspaceName, string | undefined>() // workspace → uid of its task, undefined for nobody; absent while not known
  const toldToWait = new Set<string>() // uids of the tasks that were told to wait for their turn
  let freed = false // whether a slot or a workspace became free, of which no event need tell the tasks that wait
  let turns: ReadonlyMap<Uid, Turn> | undefined
  const changed = (): void => {
    turns = undefined
  }

  /**
   * Reports whether the task has begun. A task whose Job was cleared away, or was asked for and is not there, counts as one that has never
   * begun.
   */
  const hasBegun = ({ metadata: { uid }, status: { phase } }: AgentTask): boolean =>
    phase === "Running" || isOfNewerVersion(phase) || Option.isSome(cache.job(uid))
  /**
   * Reports whether the task is between two launches, when it keeps its slot. If it was told to wait, `queue` says so, because the phase
   * does not go back for that.
   */
  const isBetweenLaunches = ({ status: { phase, queue } }: AgentTask): boolean => phase === "Starting" && queue === undefined
  const occupies = (task: AgentTask): boolean => isBetweenLaunches(task) || reserved.has(task.metadata.uid) || hasBegun(task)
  const candidate = (task: AgentTask): Candidate => {
    const { metadata: { uid }, spec: { stage, workspace } } = task
    const holder = holders.get(workspace)
    return { task, holds: holder === uid, refused: refusals.isPassedOver(uid), shutOut: mutates(stage) && isOutside(holder) }
  }
  const isOpen = (task: AgentTask): boolean =>
    !isOver(task.status.phase) && (!isCalledOff(task) || isOfNewerVersion(task.status.phase)) && (!waitsForSource(task) || occupies(task))
  /**
   * Reports whether there is a holder that is no open task of our cache. No event tells us when it ends, so a task that waits for it has to
   * ask.
   */
  const isOutside = (holder: string | undefined): boolean => holder !== undefined && !Option.exists(cache.taskByUid(holder), isOpen)
  /** Returns the turns of all tasks that have no slot. This runs for each task that comes or goes, so it makes nothing of those that have one. */
  const allTurns = (): ReadonlyMap<Uid, Turn> => {
    const occupants: Array<AgentTask> = []
    const candidates: Array<Candidate> = []
    for (const task of cache.tasks().values()) {
      if (!isOpen(task)) continue
      if (occupies(task)) occupants.push(task)
      else candidates.push(candidate(task))
    }
    return admit(occupants, candidates, policy().limits)
  }
  /** Returns why nothing new starts, if so. */
  const hold = (): HoldReason | undefined =>
    drained ? "Draining" : policy().requireProvenIsolation && !proven ? "IsolationUnproven" : undefined
  const turn = (task: AgentTask): Turn => {
    const held = hold()
    if (held !== undefined && !hasBegun(task)) return holdTurns[held]
    if (occupies(task)) return Turn.Admitted() // most passes are over such a task, for which no other task need be looked at
    turns ??= allTurns()
    return turns.get(task.metadata.uid) ?? Turn.Admitted()
  }
  const waiting = () => [...cache.tasks()].filter(([, task]) => !isOver(task.status.phase) && !occupies(task))
  const mayStart = (key: string): boolean => Option.exists(cache.task(key), (task) => isOpen(task) && turn(task)._tag === "Admitted")
  /**
   * Reports whether all turns stay what they are when the task changes so. Each task that is told of its turn is such a change, and there may
   * be thousands of these, for each of which all turns would be computed.
   */
  const changesNoTurn = (before: AgentTask, after: AgentTask): boolean => {
    if (!isOpen(before) && !isOpen(after)) return true
    const { metadata: a, spec: { stage, workspace } } = before
    const { metadata: b, spec } = after
    return isOpen(before) === isOpen(after) && occupies(before) === occupies(after) && a.uid === b.uid &&
      a.creationTimestamp === b.creationTimestamp && stage === spec.stage && workspace === spec.workspace
  }
  const letGo = ({ metadata: { uid }, spec: { workspace } }: AgentTask): void => {
    if (holders.get(workspace) !== uid) return
    holders.delete(workspace)
    changed()
  }
  /** Forgets that no task holds the workspace, because the task that starts may take it. */
  const forgetVacancy = ({ spec: { workspace } }: AgentTask): void => {
    if (holders.get(workspace) === undefined) holders.delete(workspace)
  }
  /** Forgets what is known of the Lease of a workspace whose last task has gone, since nobody may ask for it again. */
  const forgetLast = ({ spec: { workspace } }: AgentTask): void => {
    if (!holders.has(workspace) || cache.tasks().values().some(({ spec }) => spec.workspace === workspace)) return
    holders.delete(workspace)
  }

  return {
    turns: {
      occupies,
      of: turn,
      waiting: () => waiting().map(([key]) => key),
      untold: () => waiting().filter(([, task]) => !tellsOf(task.status, turn(task))).map(([key]) => key),
      calledUp: () => {
        if (!freed) return []
        freed = false
        return [...toldToWait].flatMap((uid) => Option.toArray(cache.keyOf(uid))).filter(mayStart)
      },
      knowsHolder: (workspace) => holders.has(workspace),
      isReserved: (uid) => reserved.has(uid),
      launching: () => launching.size > 0,
      heldBack: (reason) => hold() === reason ? waiting().filter(([, task]) => isOpen(task) && task.spec.pool === undefined).length : 0,

      setDrained: (next) => {
        const isNews = next !== drained
        drained = next
        return isNews
      },
      isProven: () => proven,
      setProven: (next) => {
        const isNews = next !== proven
        proven = next
        return isNews
      },
      reserve: (uid) => {
        reserved.add(uid)
        launching.add(uid)
        const task = cache.taskByUid(uid)
        if (Option.isSome(task)) forgetVacancy(task.value)
        changed()
      },
      giveBack: (uid) => {
        if (reserved.delete(uid)) freed = true
        changed()
      },
      passEnded: (uid) => void launching.delete(uid),
      setHolder: (workspace, holder) => {
        const before = holders.get(workspace)
        const after = Option.getOrUndefined(holder)
        holders.set(workspace, after)
        if (before === after) return
        freed = true
        changed()
      }
    },
    events: {
      changed,
      taskChanges: (before, task) => {
        const had = Option.exists(before, occupies)
        if (!Option.exists(before, (before) => Option.exists(task, (task) => changesNoTurn(before, task)))) changed()
        if (Option.isSome(task)) {
          const { metadata: { uid }, status: { phase } } = task.value
          if (had && !occupies(task.value)) freed = true
          if (isOver(phase)) {
            reserved.delete(uid)
            letGo(task.value)
            if (Option.exists(before, ({ status }) => !isOver(status.phase))) refusals.forget(uid) // the refusal was of its Job
          }
        }
      },
      jobHeard: (taskUid, isGone) => {
        if (isGone) {
          freed = true
          for (const uid of refusals.liftQuota()) toldToWait.add(uid) // they wait like any other task from now on
        }
        reserved.delete(taskUid)
        refusals.countAnew(taskUid)
        changed()
      },
      passSaw: (uid, turn) => {
        if (turn._tag === "Waiting") toldToWait.add(uid)
        else toldToWait.delete(uid)
      },
      forget: (task) => {
        const { uid } = task.metadata
        letGo(task)
        forgetLast(task)
        reserved.delete(uid)
        refusals.forget(uid)
        toldToWait.delete(uid)
      }
    }
  }
}
