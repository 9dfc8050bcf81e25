// Which tasks may start: which of them have a slot, were refused one, or hold a workspace; and which turn the last pass over each saw.
// Changes only in synchronous steps, so that a decision and the slot it takes are never apart; all turns are computed anew after a change that matters.
// Told of each change by controller/world/world, and used through it and by controller/lifecycle/leader; core/scheduling/admit shares them out.
import { Effect, Latch, Option } from "effect"
import { waitsForSource } from "../../core/reconcile/flux-source.ts"
import { isKeptByTheSame, saysTheSame } from "../../core/reconcile/waiting.ts"
import { admit, type Candidate } from "../../core/scheduling/admit.ts"
import { heldBack } from "../../core/scheduling/draining.ts"
import { waitsForProof } from "../../core/scheduling/isolation.ts"
import { Turn } from "../../core/task/observed.ts"
import { isCalledOff, isOfNewerVersion, isOver } from "../../core/task/status.ts"
import type { TaskPolicy } from "../../core/task/task-policy.ts"
import type { Uid, WorkspaceName } from "../../schema/names.ts"
import { type AgentTask, mutates } from "../../schema/task/agent-task.ts"
import type { holdReasons } from "../../schema/task/reason.ts"
import type { Cache } from "./cache.ts"
import type { HeldRefusals } from "./held-refusals.ts"

type HoldReason = (typeof holdReasons)[number]

export interface Turns {
  /** Whether the task has a slot. */
  readonly occupies: (task: AgentTask) => boolean
  readonly of: (task: AgentTask) => Turn
  /** The keys of the tasks that are not over and have no slot. */
  readonly waiting: () => ReadonlyArray<string>
  /** Completes once turns may have moved, of which no event need tell the tasks that wait. */
  readonly moved: Effect.Effect<void>
  /**
   * Returns the keys of the tasks without a slot of whose turn there is something else to say than the last pass over them saw. Another
   * place alone is something to say once, after what changed places for good.
   */
  readonly untold: () => ReadonlyArray<string>
  /** Whether it is known which task has the workspace's Lease, or that none has. */
  readonly knowsHolder: (workspace: WorkspaceName) => boolean
  /** Whether a slot is taken for the task, and no informer has reported its Job yet. */
  readonly isReserved: (taskUid: string) => boolean
  /** Whether any pass that decided to make a Job has not ended, so that the Job may still be made. */
  readonly launching: () => boolean

  /** How many tasks wait because nothing new starts for this reason; those of a pool that wait for a drain are left to it, which counts them. */
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
  readonly move: () => void
  /** A task lets others go first for some time, or gives its slot back: places change, and back again, which is not worth a word. */
  readonly moveForNow: () => void
  /** A task changes. The cache has the change only after this. */
  readonly taskChanges: (before: Option.Option<AgentTask>, task: Option.Option<AgentTask>) => void
  /** An informer reported the Job of this task, or that it is gone. */
  readonly jobHeard: (taskUid: string, isGone: boolean) => void
  /** A pass over the task saw its turn. */
  readonly passSaw: (task: AgentTask, turn: Turn) => void
  readonly forget: (task: AgentTask) => void
}

const holdTurns: Readonly<Record<HoldReason, Turn>> = { Draining: heldBack, IsolationUnproven: waitsForProof }

/** Takes the place of the turn that the last pass saw, where another pass is due whatever the turn is. */
const passIsDue = { _tag: "PassIsDue" } as const

export const make = (
  cache: Pick<Cache, "job" | "keyOf" | "taskByUid" | "tasks">,
  policy: () => TaskPolicy,
  refusals: Pick<HeldRefusals, "countAnew" | "forget" | "isPassedOver" | "liftQuota">
): { readonly turns: Turns; readonly events: TurnEvents } => {
  let drained = false
  let proven = false
  const reserved = new Set<string>()
  const launching = new Set<string>()
  const holders = new Map<WorkspaceName, string | undefined>() // workspace → uid of its task, undefined for nobody; absent while not known
  const seen = new Map<string, Turn | typeof passIsDue>() // uid → the turn that the last pass saw of a task that is not over
  const latch = Latch.makeUnsafe(false)
  let turns: ReadonlyMap<Uid, Turn> | undefined
  let placesMoved = false // whether a place alone is worth telling
  const changed = (): void => {
    turns = undefined
  }
  /** Something has changed that may give a task its turn. */
  const moveForNow = (): void => {
    changed()
    latch.openUnsafe()
  }
  /** The same, for good: places count too. */
  const move = (): void => {
    placesMoved = true
    moveForNow()
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
  const isUntold = (uid: Uid): boolean => {
    const before = seen.get(uid)
    if (before === undefined) return false // its first pass is on its way
    const isTold = placesMoved ? saysTheSame : isKeptByTheSame
    return Option.exists(cache.taskByUid(uid), (task) => before._tag === "PassIsDue" || !isTold(before, turn(task)))
  }
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
    for (const { metadata, spec } of cache.tasks().values()) { // one that has its turn may wait for the holder alone
      if (spec.workspace === workspace && seen.get(metadata.uid)?._tag === "Admitted") seen.set(metadata.uid, passIsDue)
    }
    move()
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
      moved: latch.await.pipe(
        Effect.andThen(Effect.yieldNow), // since `move` opens it in the middle of a step
        Effect.andThen(latch.close), // before the look, since turns may move during it
        Effect.asVoid
      ),
      untold: () => {
        turns ??= allTurns()
        const untold = [...turns.keys()].filter(isUntold)
        placesMoved = false
        return untold.flatMap((uid) => Option.toArray(cache.keyOf(uid)))
      },
      knowsHolder: (workspace) => holders.has(workspace),
      isReserved: (uid) => reserved.has(uid),
      launching: () => launching.size > 0,
      heldBack: (reason) =>
        hold() === reason
          ? waiting().filter(([, task]) => isOpen(task) && (reason !== "Draining" || task.spec.pool === undefined)).length
          : 0,

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
        if (reserved.delete(uid)) moveForNow()
      },
      passEnded: (uid) => void launching.delete(uid),
      setHolder: (workspace, holder) => {
        const before = holders.get(workspace)
        const after = Option.getOrUndefined(holder)
        holders.set(workspace, after)
        if (before !== after) move()
      }
    },
    events: {
      move,
      moveForNow,
      taskChanges: (before, task) => {
        if (!Option.exists(before, (before) => Option.exists(task, (task) => changesNoTurn(before, task)))) move()
        if (Option.isSome(task)) {
          const { metadata: { uid }, status: { phase } } = task.value
          if (isOver(phase)) {
            reserved.delete(uid)
            seen.delete(uid)
            letGo(task.value)
            if (Option.exists(before, ({ status }) => !isOver(status.phase))) refusals.forget(uid) // the refusal was of its Job
          }
        }
      },
      jobHeard: (taskUid, isGone) => {
        reserved.delete(taskUid)
        refusals.countAnew(taskUid)
        if (!isGone) return changed()
        for (const uid of refusals.liftQuota()) seen.set(uid, passIsDue) // they wait like any other task from now on
        move()
      },
      passSaw: ({ metadata: { uid }, status: { phase } }, turn) => {
        if (!isOver(phase)) seen.set(uid, turn)
      },
      forget: (task) => {
        const { uid } = task.metadata
        letGo(task)
        forgetLast(task)
        reserved.delete(uid)
        refusals.forget(uid)
        seen.delete(uid)
      }
    }
  }
}
