// What the controller knows of all tasks, their Jobs and Pods, and the decisions that concern them all: turns and history.
// Changed only in synchronous steps, so that a decision and the slot it takes are never apart.
// Fed by the informers in controller/mirror, read by controller/observe.
import { Option } from "effect"
import { admit, type Candidate } from "../core/admit.ts"
import { heldBack } from "../core/draining.ts"
import { waitsForProof } from "../core/isolation.ts"
import { waitsForSource } from "../core/flux-source.ts"
import { type JobSeen, type Observed, type PodSeen, type Refusal, type Told, Turn } from "../core/observed.ts"
import { waitsForQuota } from "../core/pod-trouble.ts"
import { isOfNewerVersion, isOver } from "../core/status.ts"
import type { TaskPolicy } from "../core/task-policy.ts"
import type { AgentTask } from "../schema/agent-task.ts"
import type { Uid, WorkspaceName } from "../schema/names.ts"
import { pastHistory } from "./past-history.ts"

export interface World {
  readonly task: (key: string) => Option.Option<AgentTask>
  readonly tasks: () => Iterable<readonly [key: string, task: AgentTask]>
  readonly taskByUid: (uid: string) => Option.Option<AgentTask>
  readonly keyOf: (taskUid: string) => Option.Option<string>
  readonly job: (taskUid: string) => Option.Option<JobSeen>
  readonly pods: (taskUid: string) => ReadonlyArray<PodSeen>
  /** For how long this Job of the task has been known to a pass, at this monotonic time; nothing at the first look. */
  readonly jobKnownMillis: (taskUid: string, job: Option.Option<JobSeen>, at: number) => number
  /** The same, from the first pass on that did not see it wait for a quota any more. */
  readonly startingMillis: (taskUid: string, job: Option.Option<JobSeen>, at: number) => number
  /** Whether it is known who has the workspace's Lease, or that nobody has. */
  readonly knowsHolder: (workspace: WorkspaceName) => boolean
  /** What still holds at this time, in monotonic milliseconds, with what is left of it. */
  readonly refusal: (taskUid: string, at: number) => Option.Option<Refusal>
  /** It has a slot. */
  readonly occupies: (task: AgentTask) => boolean
  readonly turn: (task: AgentTask) => Turn
  readonly isExpired: (task: AgentTask) => boolean
  /** Keys of the workspace's finished tasks that are past its history limit. */
  readonly pastHistory: (workspace: WorkspaceName) => ReadonlyArray<string>
  /** Keys of the tasks that have no Job yet: when a slot or workspace gets free, it is their turn to be looked at. */
  readonly waiting: () => ReadonlyArray<string>
  /** Keys of those that were told to wait and whose turn has come since, because a pass gave a slot or a workspace back; each is named once. */
  readonly calledUp: () => ReadonlyArray<string>
  /** Whether a pass that decided to make a Job has not come to its end, so that the Job may still be made. */
  readonly launching: () => boolean
  /** Whether a slot was taken for it, and nobody has seen its Job yet. */
  readonly isReserved: (taskUid: string) => boolean
  readonly isRefused: (taskUid: string) => boolean
  /** Why it waits, as its pool heard it last. */
  readonly told: (taskUid: string) => Option.Option<Told>

  /** Limits and history by which turns are given from now on. */
  readonly setPolicy: (policy: TaskPolicy) => void
  /** From now on nothing begins, or things may begin again. */
  readonly setDrained: (drained: boolean) => void
  /** Whether the isolation of tasks is proven; not until this says so. Gives whether that is news. */
  readonly setProven: (proven: boolean) => boolean
  readonly setTask: (key: string, task: Option.Option<AgentTask>) => void
  readonly setJob: (key: string, job: Option.Option<{ readonly taskUid: string; readonly seen: JobSeen }>) => Option.Option<string>
  readonly setPod: (key: string, pod: Option.Option<{ readonly taskUid: string; readonly seen: PodSeen }>) => Option.Option<string>
  /** The task's slot is taken from now on, though its Job is not seen yet, nor made. */
  readonly reserve: (taskUid: string) => void
  /** What a pass over the task saw, at this monotonic time: whether it was told to wait for its turn, its Job, and whether that waits for a quota. */
  readonly looked: (observed: Pick<Observed, "task" | "turn" | "job" | "pod" | "warning">, at: number) => void
  /** The pass over the task is over, whatever came of it. */
  readonly passed: (taskUid: string) => void
  readonly created: (taskUid: string, job: JobSeen) => void
  /** A look at all Jobs begins; what this gives is for its end: the tasks whose Job we had made by then and that is not among them, so it is gone though nobody saw it. */
  readonly lookAtJobs: () => () => ReadonlyArray<string>
  /** What a look at the workspace's Lease said: the uid of its holder, or that nobody has it. */
  readonly heldBy: (workspace: WorkspaceName, holder: Option.Option<string>) => void
  /** The API server was asked for the Job, or for another task, and said no. */
  readonly refuse: (taskUid: string, refusal: Refusal, at: number) => void
  /** Its time is told at the beginning of a pass: a refusal that is over puts the task back into its place in the queue. */
  readonly mayAsk: (taskUid: string, at: number) => void
  /** The pool has taken it, or never will. */
  readonly tell: (taskUid: string, told: Told) => void
  /** What the pool heard of this task, or of all, it may not have any more. */
  readonly untell: (taskUid: Option.Option<string>) => void
  /** No Job will come of the slot that was taken. */
  readonly giveBack: (taskUid: string) => void
}

/** Two levels, task → object: what belongs to a task, by the key of its object. */
const byTask = <Seen>() => {
  const owners = new Map<string, string>() // object key → task uid
  const seen = new Map<string, Map<string, Seen>>()
  return {
    at: (key: string): { readonly taskUid: string; readonly seen: Seen } | undefined => {
      const taskUid = owners.get(key)
      const found = taskUid === undefined ? undefined : seen.get(taskUid)?.get(key)
      return taskUid === undefined || found === undefined ? undefined : { taskUid, seen: found }
    },
    of: (taskUid: string): ReadonlyArray<Seen> => [...seen.get(taskUid)?.values() ?? []],
    set: (key: string, found: Option.Option<{ readonly taskUid: string; readonly seen: Seen }>): Option.Option<string> => {
      const before = owners.get(key)
      const after = Option.getOrUndefined(found)
      if (before !== undefined && before !== after?.taskUid) {
        owners.delete(key)
        const rest = seen.get(before)
        rest?.delete(key)
        if (rest?.size === 0) seen.delete(before)
      }
      if (after !== undefined) {
        owners.set(key, after.taskUid)
        const all = seen.get(after.taskUid) ?? new Map<string, Seen>()
        seen.set(after.taskUid, all.set(key, after.seen))
      }
      return Option.fromUndefinedOr(after?.taskUid ?? before)
    }
  }
}

/** A Job's uid, when a pass first saw it, and since when its Pod starts: not while it waits for a quota. */
interface KnownJob { readonly job: string; readonly at: number; readonly startsAt: number | undefined }

export const make = (initial: TaskPolicy): World => {
  let policy = initial
  const tasks = new Map<string, AgentTask>()
  const keys = new Map<string, string>() // task uid → key
  const jobs = byTask<JobSeen>()
  const pods = byTask<PodSeen>()
  const fresh = new Map<string, JobSeen>() // made by us, not seen by the informer yet
  const known = new Map<string, KnownJob>() // by the task's uid
  const told = new Map<string, Told>()
  const goneJobs = new Map<string, string>() // task uid → uid of its last Job that was deleted: the answer that it was made may come later
  const reserved = new Set<string>()
  const launching = new Set<string>()
  const refusals = new Map<string, { readonly refusal: Refusal; readonly until: number }>()
  const holders = new Map<WorkspaceName, string | undefined>() // workspace → uid of its task, undefined for nobody; absent while not known
  const behind = new Set<string>() // told to wait for their turn
  let freed = false // a slot or a workspace, of which no event need tell those behind
  let turns: ReadonlyMap<Uid, Turn> | undefined
  const history = pastHistory(() => policy.historyPerWorkspace)
  let drained = false
  let proven = false
  const changed = (): void => {
    turns = undefined
  }

  const job = (taskUid: string): Option.Option<JobSeen> => Option.fromUndefinedOr(jobs.of(taskUid)[0] ?? fresh.get(taskUid))
  const knownJob = (taskUid: string, job: Option.Option<JobSeen>): KnownJob | undefined => {
    const found = known.get(taskUid)
    return Option.exists(job, ({ uid }) => uid === found?.job) ? found : undefined
  }
  /** One whose Job was cleared away is as if it had never begun, and so is one whose Job was asked for and is not there. */
  const hasBegun = ({ metadata: { uid }, status: { phase } }: AgentTask): boolean => phase === "Running" || isOfNewerVersion(phase) || Option.isSome(job(uid))
  /** Between two launches it keeps its slot, unless it was told to wait: the phase does not go back for that. */
  const isBetweenLaunches = ({ status: { phase, queue } }: AgentTask): boolean => phase === "Starting" && queue === undefined
  const occupies = (task: AgentTask): boolean => isBetweenLaunches(task) || reserved.has(task.metadata.uid) || hasBegun(task)
  const giveBack = (uid: string): void => {
    if (reserved.delete(uid)) freed = true
    changed()
  }
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
  const candidate = (task: AgentTask): Candidate => ({
    uid: task.metadata.uid,
    name: task.metadata.name,
    workspace: task.spec.workspace,
    stage: task.spec.stage,
    createdAt: task.metadata.creationTimestamp,
    occupies: occupies(task),
    holds: holders.get(task.spec.workspace) === task.metadata.uid,
    refused: isPassedOver(task.metadata.uid) && !occupies(task)
  })
  const isOpen = (task: AgentTask): boolean =>
    !isOver(task.status.phase) && (task.spec.cancel !== true || task.status.claim !== undefined || isOfNewerVersion(task.status.phase)) && (!waitsForSource(task) || occupies(task))
  const open = (): ReadonlyArray<AgentTask> => [...tasks.values()].filter(isOpen)
  const letGo = ({ metadata: { uid }, spec: { workspace } }: AgentTask): void => {
    if (holders.get(workspace) === uid) holders.delete(workspace)
  }
  /** Who starts may take a workspace that nobody has. */
  const mayTakeWorkspace = (uid: string): void => {
    const workspace = tasks.get(keys.get(uid) ?? "")?.spec.workspace
    if (workspace !== undefined && holders.get(workspace) === undefined) holders.delete(workspace)
  }
  const forget = (task: AgentTask): void => {
    const { uid } = task.metadata
    letGo(task)
    keys.delete(uid)
    fresh.delete(uid)
    known.delete(uid)
    goneJobs.delete(uid)
    reserved.delete(uid)
    refusals.delete(uid)
    behind.delete(uid)
    told.delete(uid)
  }
  const turn = (task: AgentTask): Turn => {
    if (drained && !hasBegun(task)) return heldBack
    if (policy.requireProvenIsolation === true && !proven && !hasBegun(task)) return waitsForProof
    if (occupies(task)) return Turn.Admitted() // most passes are over such a task, and all others need no look for it
    turns ??= admit(open().map(candidate), policy.limits)
    return turns.get(task.metadata.uid) ?? Turn.Admitted()
  }
  const mayStart = (key: string): boolean => {
    const task = tasks.get(key)
    return task !== undefined && isOpen(task) && turn(task)._tag === "Admitted"
  }

  return {
    task: (key) => Option.fromUndefinedOr(tasks.get(key)),
    tasks: () => tasks,
    taskByUid: (uid) => Option.flatMap(Option.fromUndefinedOr(keys.get(uid)), (key) => Option.fromUndefinedOr(tasks.get(key))),
    keyOf: (uid) => Option.fromUndefinedOr(keys.get(uid)),
    job,
    pods: pods.of,
    jobKnownMillis: (uid, job, at) => at - (knownJob(uid, job)?.at ?? at),
    startingMillis: (uid, job, at) => at - (knownJob(uid, job)?.startsAt ?? at),
    occupies,
    knowsHolder: (workspace) => holders.has(workspace),
    refusal: (uid, at) =>
      Option.fromUndefinedOr(refusals.get(uid)).pipe(
        Option.filter(({ until }) => at < until),
        Option.map(({ refusal, until }) => ({ ...refusal, againInMillis: until - at }))
      ),
    turn,
    isExpired: history.has,
    pastHistory: history.keysIn,
    waiting: () => [...tasks].filter(([, task]) => !isOver(task.status.phase) && !occupies(task)).map(([key]) => key),
    calledUp: () => {
      if (!freed) return []
      freed = false
      return [...behind].map((uid) => keys.get(uid) ?? "").filter(mayStart)
    },
    launching: () => launching.size > 0,
    isReserved: (uid) => reserved.has(uid),
    isRefused: (uid) => refusals.has(uid),
    told: (uid) => Option.fromUndefinedOr(told.get(uid)),

    setPolicy: (next) => {
      policy = next
      history.limitChanged()
      changed()
    },
    setDrained: (next) => {
      drained = next
    },
    setProven: (next) => {
      const isNews = next !== proven
      proven = next
      return isNews
    },
    setTask: (key, task) => {
      const before = tasks.get(key)
      const had = before !== undefined && occupies(before)
      history.set(key, Option.fromUndefinedOr(before), task)
      if (before !== undefined && !Option.exists(task, ({ metadata }) => metadata.uid === before.metadata.uid)) forget(before)
      Option.match(task, {
        onNone: () => tasks.delete(key),
        onSome: (task) => {
          tasks.set(key, task)
          keys.set(task.metadata.uid, key)
          if (had && !occupies(task)) freed = true
          if (!isOver(task.status.phase)) return
          reserved.delete(task.metadata.uid)
          letGo(task)
          if (before !== undefined && !isOver(before.status.phase)) refusals.delete(task.metadata.uid) // it was of its Job
        }
      })
      changed()
    },
    setJob: (key, found) => {
      const before = jobs.at(key)
      if (before !== undefined && Option.isNone(found) && keys.has(before.taskUid)) goneJobs.set(before.taskUid, before.seen.uid) // a task mostly goes before its Job, and is forgotten with all of it
      if (Option.isNone(found)) {
        freed = true
        roomInQuota()
      }
      const uid = jobs.set(key, found)
      Option.map(uid, (uid) => {
        fresh.delete(uid)
        reserved.delete(uid)
      })
      changed()
      return uid
    },
    setPod: pods.set,
    reserve: (uid) => {
      reserved.add(uid)
      launching.add(uid)
      mayTakeWorkspace(uid)
      changed()
    },
    looked: (observed, at) => {
      const { job, task: { metadata: { uid } }, turn } = observed
      if (!keys.has(uid)) return // it went while it was looked at
      if (turn._tag === "Waiting") behind.add(uid)
      else behind.delete(uid)
      const before = knownJob(uid, job)
      if (Option.isNone(job)) known.delete(uid)
      else known.set(uid, { job: job.value.uid, at: before?.at ?? at, startsAt: waitsForQuota(observed) ? undefined : before?.startsAt ?? at })
    },
    passed: (uid) => void launching.delete(uid),
    created: (uid, seen) => {
      if (keys.has(uid) && jobs.of(uid).length === 0 && goneJobs.get(uid) !== seen.uid) fresh.set(uid, seen)
      changed()
    },
    lookAtJobs: () => {
      const made = [...fresh]
      return () => {
        const gone = made.flatMap(([uid, seen]) => fresh.get(uid) === seen ? [uid] : [])
        for (const uid of gone) {
          fresh.delete(uid)
          giveBack(uid)
        }
        changed()
        return gone
      }
    },
    heldBy: (workspace, holder) => {
      const before = holders.get(workspace)
      const after = Option.getOrUndefined(holder)
      holders.set(workspace, after)
      if (before === after) return
      freed = true
      changed()
    },
    refuse: (uid, refusal, at) => {
      if (!keys.has(uid)) return // it went while it was asked
      refusals.set(uid, { refusal, until: at + refusal.againInMillis })
      changed()
    },
    mayAsk: (uid, at) => {
      const refused = refusals.get(uid)
      if (refused === undefined || at < refused.until) return
      refusals.delete(uid)
      changed()
    },
    tell: (uid, words) => {
      if (keys.has(uid)) told.set(uid, words)
    },
    untell: Option.match({ onNone: () => told.clear(), onSome: (uid) => void told.delete(uid) }),
    giveBack
  }
}
