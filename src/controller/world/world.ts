// What the controller knows of all tasks: the cache of what exists, the turn of each task, and what passes said and saw.
// Invariant: its parts hear of each change in one synchronous step, and forget a task together.
// Fed by the informers in controller/world/mirror, read in controller/reconcile, controller/pool and controller/lifecycle.
import { Option } from "effect"
import type { Observed, ReportedWait, StartSeen } from "../../core/task/observed.ts"
import type { TaskPolicy } from "../../core/task/task-policy.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import * as Cache from "./cache.ts"
import { type HeldRefusals, heldRefusals } from "./held-refusals.ts"
import { type JobAges, jobAges } from "./job-ages.ts"
import { leadClock } from "./lead-clock.ts"
import { type PastHistory, pastHistory } from "./past-history.ts"
import { seenSince, unreadyPod, whetherOver } from "./seen-since.ts"
import * as Turns from "./turns.ts"

export interface World extends Cache.Changes {
  readonly cache: Cache.Cache
  readonly turns: Turns.Turns
  readonly refusals: Pick<HeldRefusals, "at" | "deniedMillis" | "dropExpired" | "isRefused" | "refuse">
  readonly ages: JobAges
  readonly pastHistory: PastHistory
  /** The clock of passes, which stands still while this replica does not lead: its time at `at`, both in monotonic milliseconds. */
  readonly ledMillis: (at: number) => number
  /** How long passes have seen the Pod of the claim unready at `at`, in milliseconds of `ledMillis`; 0 at the first look, and if it is ready. */
  readonly unreadyMillis: (seen: Pick<Observed, "pod" | "task">, at: number) => number
  /** How long they have seen the task over, likewise. */
  readonly overMillis: (seen: Pick<Observed, "task">, at: number) => number
  /** Why the task waits, as its pool last heard it. */
  readonly reportedWait: (taskUid: string) => Option.Option<ReportedWait>

  /** Sets the policy by which turns are given and history is limited from now on. */
  readonly setPolicy: (policy: TaskPolicy) => void
  /**
   * Records what a pass over the task saw at `at`, in milliseconds of `ledMillis`: the turn of the task, its Job, whether the Job
   * has a Pod or waits for a quota, whether the Pod of a claim is ready, and whether the task is over.
   */
  readonly passSaw: (observed: Pick<Observed, "task" | "turn"> & StartSeen, at: number) => void
  /** Records that the pool has heard this reason to wait, or never will. */
  readonly setReportedWait: (taskUid: string, wait: ReportedWait) => void
  /** Forgets what the pool heard about this task, because the pool may not have it any more. */
  readonly clearReportedWait: (taskUid: string) => void
  /**
   * Forgets what the pool heard about all tasks, since another replica may have led and told it something else, and which Pods were not
   * ready and which tasks over. `at` is as of `ledMillis`.
   */
  readonly leadBegins: (at: number) => void
  readonly leadEnds: (at: number) => void
}

export const make = (initial: TaskPolicy): World => {
  let policy = initial
  const cache = Cache.make()
  const isThere = (uid: string): boolean => Option.isSome(cache.keyOf(uid))
  const refusals = heldRefusals()
  const { events, turns } = Turns.make(cache, () => policy, refusals)
  const history = pastHistory(() => policy.historyPerWorkspace)
  const clock = leadClock()
  const ages = jobAges()
  const unready = seenSince(unreadyPod)
  const over = seenSince(whetherOver)
  const reportedWaits = new Map<string, ReportedWait>()
  const forget = (task: AgentTask): void => {
    const { uid } = task.metadata
    events.forget(task)
    ages.forget(uid)
    unready.forget(uid)
    over.forget(uid)
    reportedWaits.delete(uid)
  }

  return {
    cache,
    turns,
    refusals: {
      ...refusals,
      refuse: (uid, refusal, at) => {
        if (!isThere(uid)) return // the task went while the API server was asked
        refusals.refuse(uid, refusal, at)
        events.moveForNow()
      },
      dropExpired: (uid, at) => {
        const isDropped = refusals.dropExpired(uid, at)
        if (isDropped) events.move()
        return isDropped
      }
    },
    ages,
    pastHistory: history,
    ledMillis: clock.millis,
    unreadyMillis: unready.millis,
    overMillis: over.millis,
    reportedWait: (uid) => Option.fromUndefinedOr(reportedWaits.get(uid)),

    setPolicy: (next) => {
      policy = next
      history.limitChanged()
      events.move()
    },
    setTask: (key, task) => {
      const before = cache.task(key)
      history.set(key, before, task)
      events.taskChanges(before, task)
      const gone = cache.setTask(key, task)
      if (Option.isSome(gone)) forget(gone.value)
      return gone
    },
    setJob: (key, job) => {
      const taskUid = cache.setJob(key, job)
      if (Option.isSome(taskUid)) {
        events.jobHeard(taskUid.value, Option.isNone(job))
        if (Option.exists(job, ({ seen }) => seen.suspended && !seen.deleting)) ages.suspended(taskUid.value)
      }
      return taskUid
    },
    setPod: cache.setPod,
    passSaw: (observed, at) => {
      const { task, turn } = observed
      const { uid } = task.metadata
      if (!isThere(uid)) return // the task went while it was looked at
      events.passSaw(task, turn)
      ages.passSaw(uid, observed, at)
      unready.passSaw(observed, at)
      over.passSaw(observed, at)
    },
    setReportedWait: (uid, wait) => {
      if (isThere(uid)) reportedWaits.set(uid, wait)
    },
    clearReportedWait: (uid) => void reportedWaits.delete(uid),
    leadBegins: (at) => {
      clock.goOn(at)
      unready.forgetAll() // a Pod may have been ready meanwhile
      over.forgetAll()
      reportedWaits.clear()
    },
    leadEnds: clock.stop
  }
}
