// Who may start: who has a slot, who was refused one, who holds a workspace, who was told to wait.
// Changed only in synchronous steps, so that a decision and the slot it takes are never apart; the turns of all are counted anew when what they depend on changed.
// Used by controller/world, which tells it of each change; how turns are shared out is in core/admit.
import { Option } from "effect"
import { admit, type Candidate } from "../core/admit.ts"
import { heldBack } from "../core/draining.ts"
import { waitsForSource } from "../core/flux-source.ts"
import { waitsForProof } from "../core/isolation.ts"
import { type Refusal, Turn } from "../core/observed.ts"
import { isCalledOff, isOfNewerVersion, isOver } from "../core/status.ts"
import type { TaskPolicy } from "../core/task-policy.ts"
import { type AgentTask, mutates } from "../schema/agent-task.ts"
import type { Uid, WorkspaceName } from "../schema/names.ts"
import type { Cache } from "./cache.ts"

export interface Turns {
  /** It has a slot. */
  readonly occupies: (task: AgentTask) => boolean
  readonly turn: (task: AgentTask) => Turn
  /** Keys of the tasks that have no Job yet: when a slot or workspace gets free, it is their turn to be looked at. */
  readonly waiting: () => ReadonlyArray<string>
  /**
   * Keys of those that were told to wait and whose turn has come since, because a pass gave a slot or a workspace back; each is named once.
   */
  readonly calledUp: () => ReadonlyArray<string>
  /** Whether it is known who has the workspace's Lease, or that nobody has. */
  readonly knowsHolder: (workspace: WorkspaceName) => boolean
  /** What still holds at this time, in monotonic milliseconds, with what is left of it. */
  readonly refusal: (taskUid: string, at: number) => Option.Option<Refusal>
  readonly isRefused: (taskUid: string) => boolean
  /** For how long it was denied, without the times that it waited for something else in between. */
  readonly deniedMillis: (taskUid: string) => number
  /** Whether a slot was taken for it, and nobody has seen its Job yet. */
  readonly isReserved: (taskUid: string) => boolean
  /** Whether a pass that decided to make a Job has not come to its end, so that the Job may still be made. */
  readonly launching: () => boolean

  /** From now on nothing begins, or things may begin again. */
  readonly setDrained: (drained: boolean) => void
  /** Whether the isolation of tasks is proven; not until this says so. Gives whether that is news. */
  readonly setProven: (proven: boolean) => boolean
  /** The task's slot is taken from now on, though its Job is not seen yet, nor made. */
  readonly reserve: (taskUid: string) => void
  /** No Job will come of the slot that was taken. */
  readonly giveBack: (taskUid: string) => void
  /** The pass over the task is over, whatever came of it. */
  readonly passed: (taskUid: string) => void
  /** What a look at the workspace's Lease said: the uid of its holder, or that nobody has it. */
  readonly setHolder: (workspace: WorkspaceName, holder: Option.Option<string>) => void
  /** The API server was asked for the Job, or for another task, and said no. */
  readonly refuse: (taskUid: string, refusal: Refusal, at: number) => void
  /** Its time is told at the beginning of a pass: a refusal that is over puts the task back into its place in the queue. */
  readonly mayAsk: (taskUid: string, at: number) => void
}

/** What the world tells it. */
interface Hearing {
  /** What turns depend on, outside of this file. */
  readonly changed: () => void
  /** Told before the cache has it, where it is still to be seen who had a slot. */
  readonly taskChanges: (before: Option.Option<AgentTask>, task: Option.Option<AgentTask>) => void
  /** Before an informer tells of it. */
  readonly jobMade: (taskUid: string) => void
  /** An informer told of the Job of this task, or that it is gone. */
  readonly jobHeard: (taskUid: string, isGone: boolean) => void
  /** A pass over the task is told its turn. */
  readonly passSaw: (taskUid: string, turn: Turn) => void
  readonly forget: (task: AgentTask) => void
}

/** Of the time since a denial, so much counts at most: in the rest it may have waited for something else, such as a slot. */
const sameDenialMillis = 60_000

export const make = (
  cache: Pick<Cache, "job" | "keyOf" | "task" | "taskByUid" | "tasks">,
  policy: () => TaskPolicy
): { readonly turns: Turns; readonly hearing: Hearing } => {
  let drained = false
  let proven = false
  const reserved = new Set<string>()
  const launching = new Set<string>()
  const refusals = new Map<string, { readonly refusal: Refusal; readonly until: number }>()
  const denials = new Map<string, { readonly millis: number; readonly since: number | undefined }>() // since: of the last refusal, where that was a denial
  const holders = new Map<WorkspaceName, string | undefined>() // workspace → uid of its task, undefined for nobody; absent while not known
  const behind = new Set<string>() // told to wait for their turn
  let freed = false // a slot or a workspace, of which no event need tell those behind
  let turns: ReadonlyMap<Uid, Turn> | undefined
  const changed = (): void => {
    turns = undefined
  }

  /** One whose Job was cleared away is as if it had never begun, and so is one whose Job was asked for and is not there. */
  const hasBegun = ({ metadata: { uid }, status: { phase } }: AgentTask): boolean =>
    phase === "Running" || isOfNewerVersion(phase) || Option.isSome(cache.job(uid))
  /** Between two launches it keeps its slot, unless it was told to wait: the phase does not go back for that. */
  const isBetweenLaunches = ({ status: { phase, queue } }: AgentTask): boolean => phase === "Starting" && queue === undefined
  const occupies = (task: AgentTask): boolean => isBetweenLaunches(task) || reserved.has(task.metadata.uid) || hasBegun(task)
  /** Who waits for a quota keeps its place: another would be refused as well, or take the room that it waits for. */
  const isPassedOver = (uid: string): boolean => {
    const kind = refusals.get(uid)?.refusal.kind
    return kind !== undefined && kind !== "QuotaExceeded"
  }
  /** A Job less is room in a quota: who was refused for it waits like anybody else. */
  const roomInQuota = (): void => {
    for (const [uid, { refusal }] of refusals) {
      if (refusal.kind !== "QuotaExceeded") continue
      refusals.delete(uid)
      behind.add(uid)
    }
  }
  const candidate = (task: AgentTask): Candidate => {
    const { metadata: { creationTimestamp, name, uid }, spec: { stage, workspace } } = task
    const has = occupies(task)
    const holder = holders.get(workspace)
    return {
      uid,
      name,
      workspace,
      stage,
      createdAt: creationTimestamp,
      occupies: has,
      holds: holder === uid,
      refused: !has && isPassedOver(uid),
      shutOut: !has && mutates(stage) && isOutside(holder)
    }
  }
  const isOpen = (task: AgentTask): boolean =>
    !isOver(task.status.phase) && (!isCalledOff(task) || isOfNewerVersion(task.status.phase)) && (!waitsForSource(task) || occupies(task))
  /** That it is over, or may start, is told by no event of ours: whoever waits for it asks. */
  const isOutside = (holder: string | undefined): boolean => holder !== undefined && !Option.exists(cache.taskByUid(holder), isOpen)
  const candidates = (): ReadonlyArray<Candidate> => {
    const found: Array<Candidate> = []
    for (const [, task] of cache.tasks()) if (isOpen(task)) found.push(candidate(task)) // for each task that comes or goes, so nothing is made on the way
    return found
  }
  const turn = (task: AgentTask): Turn => {
    if (drained && !hasBegun(task)) return heldBack
    if (policy().requireProvenIsolation === true && !proven && !hasBegun(task)) return waitsForProof
    if (occupies(task)) return Turn.Admitted() // most passes are over such a task, and all others need no look for it
    turns ??= admit(candidates(), policy().limits)
    return turns.get(task.metadata.uid) ?? Turn.Admitted()
  }
  const mayStart = (key: string): boolean => Option.exists(cache.task(key), (task) => isOpen(task) && turn(task)._tag === "Admitted")
  const letGo = ({ metadata: { uid }, spec: { workspace } }: AgentTask): void => {
    if (holders.get(workspace) === uid) holders.delete(workspace)
  }
  /** Who starts may take a workspace that nobody has. */
  const mayTakeWorkspace = ({ spec: { workspace } }: AgentTask): void => {
    if (holders.get(workspace) === undefined) holders.delete(workspace)
  }

  return {
    turns: {
      occupies,
      turn,
      waiting: () => [...cache.tasks()].filter(([, task]) => !isOver(task.status.phase) && !occupies(task)).map(([key]) => key),
      calledUp: () => {
        if (!freed) return []
        freed = false
        return [...behind].flatMap((uid) => Option.toArray(cache.keyOf(uid))).filter(mayStart)
      },
      knowsHolder: (workspace) => holders.has(workspace),
      refusal: (uid, at) =>
        Option.fromUndefinedOr(refusals.get(uid)).pipe(
          Option.filter(({ until }) => at < until),
          Option.map(({ refusal, until }) => ({ ...refusal, againInMillis: until - at }))
        ),
      isRefused: (uid) => refusals.has(uid),
      deniedMillis: (uid) => denials.get(uid)?.millis ?? 0,
      isReserved: (uid) => reserved.has(uid),
      launching: () => launching.size > 0,

      setDrained: (next) => {
        drained = next
      },
      setProven: (next) => {
        const isNews = next !== proven
        proven = next
        return isNews
      },
      reserve: (uid) => {
        reserved.add(uid)
        launching.add(uid)
        const task = cache.taskByUid(uid)
        if (Option.isSome(task)) mayTakeWorkspace(task.value)
        changed()
      },
      giveBack: (uid) => {
        if (reserved.delete(uid)) freed = true
        changed()
      },
      passed: (uid) => void launching.delete(uid),
      setHolder: (workspace, holder) => {
        const before = holders.get(workspace)
        const after = Option.getOrUndefined(holder)
        holders.set(workspace, after)
        if (before === after) return
        freed = true
        changed()
      },
      refuse: (uid, refusal, at) => {
        if (Option.isNone(cache.keyOf(uid))) return // it went while it was asked
        const until = at + refusal.againInMillis
        refusals.set(uid, { refusal, until })
        const { millis, since = at } = denials.get(uid) ?? { millis: 0 }
        denials.set(uid, {
          millis: millis + Math.min(at - since, sameDenialMillis),
          since: refusal.kind === "Forbidden" ? at : undefined
        })
        changed()
      },
      mayAsk: (uid, at) => {
        const refused = refusals.get(uid)
        if (refused === undefined || at < refused.until) return
        refusals.delete(uid)
        changed()
      }
    },
    hearing: {
      changed,
      taskChanges: (before, task) => {
        const had = Option.exists(before, occupies)
        if (Option.isSome(task)) {
          const { metadata: { uid }, status: { phase } } = task.value
          if (had && !occupies(task.value)) freed = true
          if (isOver(phase)) {
            reserved.delete(uid)
            denials.delete(uid)
            letGo(task.value)
            if (Option.exists(before, ({ status }) => !isOver(status.phase))) refusals.delete(uid) // it was of its Job
          }
        }
        changed()
      },
      jobMade: (taskUid) => {
        denials.delete(taskUid)
        changed()
      },
      jobHeard: (taskUid, isGone) => {
        if (isGone) {
          freed = true
          roomInQuota()
        }
        reserved.delete(taskUid)
        denials.delete(taskUid) // it was taken
        changed()
      },
      passSaw: (uid, turn) => {
        if (turn._tag === "Waiting") behind.add(uid)
        else behind.delete(uid)
      },
      forget: (task) => {
        const { uid } = task.metadata
        letGo(task)
        reserved.delete(uid)
        refusals.delete(uid)
        denials.delete(uid)
        behind.delete(uid)
      }
    }
  }
}
