// The response of each row of the table of situations: actions, the status from now on, and when to look again.
// A task's end is written before its Job is deleted: the status, guarded by its version, decides between a cancel and a claim.
// Used by core/plan.
import { Option, Schema } from "effect"
import { longestStatusMessage, mutates } from "../schema/agent-task.ts"
import { type FailureReason, Reason, type WaitReason } from "../schema/reason.ts"
import { Action } from "./action.ts"
import { spreadMillis } from "./fingerprint.ts"
import { jobName } from "./job-name.ts"
import {
  counted,
  isCounted,
  isGivenUp,
  isLaunchMarkedFailed,
  isReplacedForQuota,
  launchedAs,
  launchesOf,
  mostLaunches,
  nextAfterMillis,
  quotaPatienceMillis,
  withFailedLaunch,
  withJobGivenUp
} from "./launches.ts"
import { askAgainMillis, isForGood, waitReasonOf } from "./observed.ts"
import { endOf, endOfStart, longestStartMillis, troubleOfStart, waitsForQuota } from "./pod-trouble.ts"
import {
  assignmentOf,
  ended,
  later,
  type News,
  noticesToPool,
  type Respond,
  type Response,
  sameNews,
  step,
  unchanged,
  underWay
} from "./response-forms.ts"
import { sentence, shortened } from "./sentence.ts"
import { jobGoesOn, millisSince, millisSinceEnd, patienceMillis, podWent, type Situation } from "./situation.ts"
import { acknowledged, finished, isInterim, ownAgain, running } from "./status.ts"
import { resultOf } from "./task-result.ts"
import { epochOf, nextEpoch, waitsForLeft } from "./workspace-lease.ts"

/** How soon a start is looked at again: only events, which are not watched, say what keeps a Pod from being made. */
const lookAgainMillis = 5_000
/**
 * Returns when to look again at a start of this age. The longer it has waited, the less a delay matters, and a thousand that wait must not
 * cause two hundred requests a second.
 */
const lookAgainAfter = (age: number): number => Math.min(Math.max(lookAgainMillis, age), 60_000)
/** How long the status is silent about a new start: a start that goes well is told by the worker's claim alone. */
const quietMillis = 3_000

// ── the task is over ──

export const keep: Respond = (s) => unchanged(s)

export const keepOver: Respond = (s) => {
  const { task } = s.observed
  const kept = {
    ...unchanged(s),
    status: isInterim(task.status) ? ownAgain(task, s.now) : acknowledged(task.status, task.metadata.generation)
  }
  return jobGoesOn(s) ? later(kept, patienceMillis - millisSinceEnd(s)) : kept
}

export const deleteJob: Respond = (s) =>
  unchanged(
    s,
    Option.match(s.observed.job, {
      onNone: () => [],
      onSome: ({ deleting, name, uid }) => deleting ? [] : [Action.DeleteJob({ name, uid })]
    })
  )

export const report: Respond = (s) => ({
  ...unchanged(
    s,
    Option.match(assignmentOf(s), {
      onNone: () => [],
      onSome: (assignment) => [Action.ReportResult({ assignment, result: resultOf(s.observed.task.status, s.now) })]
    })
  ),
  status: { ...s.observed.task.status, reportedAt: s.now }
})

export const release: Respond = (s) => unchanged(s, [Action.Release()])
export const deleteTask: Respond = (s) => unchanged(s, [Action.DeleteTask()])
export const cancel: Respond = (s) => unchanged(s, [Action.Cancel()])

/** Adds a sentence to a message that may be Kubernetes' own, of any length. */
const andThen = (words: string, next: string): string => `${shortened(sentence(words), longestStatusMessage - next.length - 1)} ${next}`

// ── a worker has claimed the task ──

export const finishWithLastWords: Respond = (s) => {
  const { task: { metadata, status }, pod } = s.observed
  return Option.match(Option.flatMap(pod, ({ lastWords }) => lastWords), {
    onNone: () => unchanged(s),
    onSome: (result) => ({ ...unchanged(s), status: finished(status, result, metadata.generation, false) })
  })
}

export const finishLost: Respond = (s) => {
  const { reason, message } = endOf(s.observed.pod, s.observed.job)
  const next = mutates(s.observed.task.spec.stage) ? "Look at the state before the next run." : "Nothing was changed."
  return ended(s, "Failed", reason, andThen(message, next))
}

export const stall: Respond = (s) =>
  underWay(s, {
    phase: "Running",
    reason: "NodeUnreachable",
    message: `Node ${
      Option.match(s.observed.pod, { onNone: () => "", onSome: ({ node }) => node })
    } does not answer. The stage may still be running there, so the task keeps its place and its workspace until the node answers or is removed; repair the node, or delete its Node object if the machine is off.`,
    stalled: true
  })

export const showStopping: Respond = (s) =>
  underWay(s, {
    phase: "Running",
    reason: "Stopping",
    message: "A cancel was asked for; the engine is interrupted once and saves its state."
  })

/** Says again what the claim said, after a time in which the node did not answer. */
export const showRunning: Respond = (s) => {
  const { pod, reason } = s.observed.task.status
  return reason === "NodeUnreachable" && pod !== undefined ? underWay(s, running(pod)) : unchanged(s)
}

// ── no worker has claimed the task ──

export const finishCalledOff: Respond = (s) =>
  ended(
    s,
    "Cancelled",
    "Cancelled",
    `${s.observed.task.spec.cancel === true ? "Cancelled" : "Deleted"} before it started; nothing was run.`
  )

export const finishRefused: Respond = (s) =>
  Option.match(s.observed.refusal, {
    onNone: () => unchanged(s),
    onSome: ({ kind, message }) => isForGood(kind) ? ended(s, "Failed", kind, message) : unchanged(s)
  })

export const finishDenied: Respond = (s) =>
  Option.match(s.observed.refusal, {
    onNone: () => unchanged(s),
    onSome: ({ message }) => {
      const { startupTimeoutSeconds } = s.policy
      const next =
        `It was denied for ${startupTimeoutSeconds} s (task.startupTimeoutSeconds); correct that, and run the task again. Nothing was run.`
      return ended(s, "Failed", "Denied", andThen(message, next))
    }
  })

/** Reports whether the status says nothing of a start or a wait yet. */
const isFresh = ({ observed: { task: { status: { phase = "Pending" } } } }: Situation): boolean => phase === "Pending"

const ourJob = ({ observed: { task }, policy }: Situation): string => jobName(policy.basename, task.metadata.name)

const jobMade = (s: Situation): News => ({
  phase: "Starting",
  reason: "JobCreated",
  message: `Job ${ourJob(s)} was created; its Pod is starting.`
})

const isJobCounted = ({ observed: { job, task } }: Situation): boolean => Option.exists(job, (job) => isCounted(task, job))

/** Returns the response with the present Job counted, as the status mentions that Job now. */
const launched = (s: Situation, response: Response): Response => ({
  ...response,
  status: counted(s.observed, s.policy, response.status)
})

/**
 * Returns the Job's age by two clocks, one of which may be behind. It is good for when to speak and to look again, and never for an end.
 */
const jobAgeMillis = ({ now, observed: { job, jobKnownMillis } }: Situation): number =>
  Option.match(job, { onNone: () => 0, onSome: ({ createdAt }) => Math.max(millisSince(createdAt, now), jobKnownMillis) })

/** Returns why the launch failed, as one reason and sentence. */
const notStarted = (s: Situation): Pick<News, "message"> & { readonly reason: FailureReason } =>
  podWent(s)
    ? { reason: "Evicted", message: "The Pod is gone, and a quota leaves no room for another." }
    : endOfStart(s.observed)

export const finishNotStarted: Respond = (s) => {
  const { reason, message } = notStarted(s)
  return launched(s, ended(s, "Failed", reason, andThen(message, "Nothing was run.")))
}

export const finishStuck: Respond = (s) => {
  const { job, pod } = s.observed
  const name = Option.match(job, { onNone: () => ourJob(s), onSome: ({ name }) => name })
  const because = Option.match(pod, {
    onNone: () => "a finalizer keeps it; remove what is in its metadata.finalizers",
    onSome: ({ name, node }) => `its Pod ${name} is still there; check ${node === "" ? "what keeps it" : `node ${node}`}`
  })
  return launched(
    s,
    ended(s, "Failed", "StartupTimeout", `Job ${name} was deleted, but ${because}, then run the task again. Nothing was run.`)
  )
}

const isReason = Schema.is(Reason)

/** Deletes the Job and looks again, because a finalizer may keep it. */
const deleteAndLook: Respond = (s) => later(deleteJob(s), lookAgainAfter(jobAgeMillis(s)))

/** Deletes the Job of a failed launch, but not before the next launch is due. */
const clearAwayWhenDue = (s: Situation, told: Response): Response => {
  const soonest = nextAfterMillis(s.observed.task.status) - s.observed.jobKnownMillis
  return soonest > 0 ? later(told, soonest) : deleteAndLook(s)
}

/** Clears the Job away when that is due. The status stays as it is, and a pool that has not heard it is told. */
export const clearAway: Respond = (s) => {
  const { message = "", reason } = s.observed.task.status
  return clearAwayWhenDue(s, { ...unchanged(s), notices: isReason(reason) ? noticesToPool(s, { reason, message }) : [] })
}

export const clearAwayOrFail: Respond = (s) => {
  const { message, reason } = notStarted(s)
  const { launches = 1 } = counted(s.observed, s.policy, s.observed.task.status)
  if (launches >= mostLaunches(s.policy, reason)) return finishNotStarted(s)
  const news: News = { phase: "Starting", reason, message: andThen(message, "It is launched again.") }
  const told = underWay(s, news)
  if (sameNews(s, news) && isLaunchMarkedFailed(s.observed)) return clearAwayWhenDue(s, told)
  // The status is written first, guarded by its version: a Pod that has claimed the task meanwhile keeps its Job.
  const { status } = launched(s, told)
  return later({ ...told, status: withFailedLaunch(status) }, 0)
}

/** Returns what the start waits for, or that the Pod starts if nothing is known to keep it. */
const startNews = (s: Situation): News =>
  Option.match(troubleOfStart(s.observed), {
    onNone: () => jobMade(s),
    onSome: ({ message, reason }) => ({ phase: "Starting", reason, message })
  })

/**
 * Deletes a Job that waits for a quota, so that it is made again. The status is written first here too, with the launch taken back. The
 * pool is not told, as this is no news to it.
 */
export const makeAnew: Respond = (s) => {
  const { job, task } = s.observed
  if (Option.exists(job, (job) => isGivenUp(task, job))) return deleteAndLook(s)
  const { status } = launched(s, { ...unchanged(s), status: step(s, startNews(s)) })
  return later({ ...unchanged(s), status: withJobGivenUp(status) }, 0)
}

/** Reports whether the status says that a quota has no room for the Pod. If it has no room for the Job, the task is queued instead. */
const saysQuota = ({ observed: { task: { status: { phase, queue, reason } } } }: Situation): boolean =>
  phase === "Starting" && reason === "QuotaExceeded" && queue === undefined

export const finishVanished: Respond = (s) =>
  ended(
    s,
    "Failed",
    "Lost",
    "Its Job disappeared before a worker took the task: somebody deleted it, or it ended and was removed after task.job.ttlSecondsAfterFinished. Nothing was run; run the task again."
  )

export const showStarting: Respond = (s) => {
  const age = jobAgeMillis(s)
  const quiet = isFresh(s) ? quietMillis : saysQuota(s) ? lookAgainMillis : 0
  if (age < quiet && Option.isNone(troubleOfStart(s.observed))) {
    return later(unchanged(s), Math.min(quiet - age, quiet) + spreadMillis(s.observed.task.metadata.uid))
  }
  const { jobKnownMillis, startingMillis } = s.observed
  const left = waitsForQuota(s.observed) ? quotaPatienceMillis - jobKnownMillis : longestStartMillis(s.observed, s.policy) - startingMillis
  const again = lookAgainAfter(age)
  const news = startNews(s)
  const told = underWay(s, news)
  return later(
    sameNews(s, news) && isJobCounted(s) && !isLaunchMarkedFailed(s.observed) ? told : launched(s, told),
    left > 0 ? Math.min(left, again) : again
  )
}

const waitFor = (s: Situation, reason: WaitReason, message: string, position: number, blockedBy?: string): Response => {
  const response = underWay(s, { phase: "Queued", reason, message })
  return { ...response, status: { ...response.status, queue: { position, reason, ...(blockedBy !== undefined && { blockedBy }) } } }
}

/** Returns the place in the queue in words. Further back only a rounded position is known. */
const place = (position: number): string => position <= 4 ? `Number ${position} in the queue` : `About number ${position} in the queue`

export const queue: Respond = (s) => {
  const { turn } = s.observed
  if (turn._tag === "Admitted") return unchanged(s)
  const blockedBy = Option.getOrUndefined(turn.blockedBy)
  if (turn.reason === "IsolationUnproven") {
    return waitFor(
      s,
      "IsolationUnproven",
      "Nothing starts before the isolation of tasks is proven for the present values; run agent-job doctor.",
      turn.position
    )
  }
  if (turn.reason === "Draining") {
    return waitFor(s, "Draining", "Nothing new starts while the cluster is draining; agent-job drain --undo ends that.", turn.position)
  }
  const message = turn.reason === "WorkspaceBusy"
    ? `Waiting for ${blockedBy}, which goes before it in workspace ${s.observed.task.spec.workspace}.`
    : `${place(turn.position)}: the limits on running tasks are reached; wait, or raise task.limits.`
  return waitFor(s, turn.reason, message, turn.position, blockedBy)
}

export const queueBehindHolder: Respond = (s) => {
  const { holder, task: { spec: { workspace } } } = s.observed
  if (holder._tag === "Left") return later(waitFor(s, "WorkspaceBusy", waitsForLeft(holder, workspace), 1), askAgainMillis)
  const by = holder._tag === "Taken" ? holder.by : "another task"
  return later(waitFor(s, "WorkspaceBusy", `Waiting for ${by}, which holds workspace ${workspace}.`, 1, by), askAgainMillis)
}

export const queueRefused: Respond = (s) =>
  Option.match(s.observed.refusal, {
    onNone: () => unchanged(s),
    onSome: ({ againInMillis, kind, message }) => later(waitFor(s, waitReasonOf(kind), message, 1), againInMillis)
  })

/** Looks again at once, because the task's turn came too late for this pass to ask its source. */
export const askSource: Respond = (s) => later(unchanged(s), 0)

export const waitForSource: Respond = (s) => {
  const { source } = s.observed
  return source._tag === "NotReady" ? later(waitFor(s, "SourceNotReady", source.message, 1), lookAgainMillis) : unchanged(s)
}

/** Writes down the artifact before there is a Job, because the worker reads it with its claim. */
export const pin: Respond = (s) => {
  const { source: seen, task: { status } } = s.observed
  const source = seen._tag === "Ready" ? seen.artifact : status.source
  if (source === undefined) return unchanged(s)
  const response = underWay(s, { phase: "Pending", reason: "Accepted", message: `Will run revision ${source.revision}.` })
  return { ...response, status: { ...response.status, source } }
}

/** Writes down a Job's name that policies of the API server cannot derive, such as one that was cut or cleaned. */
export const nameJob: Respond = (s) => {
  const response = underWay(s, { phase: "Pending", reason: "Accepted", message: `Its Job will be called ${ourJob(s)}.` })
  return { ...response, status: { ...response.status, job: { name: ourJob(s) } } }
}

/**
 * Makes the Job, after the actions in `before`. A first launch needs no status of its own: the Job's name is derived, so the Job is found
 * again without one.
 */
const launchIn = (s: Situation, epoch: number, before: ReadonlyArray<Action> = []): Response => {
  const { message = "" } = s.observed.task.status
  const news: News = isReplacedForQuota(s.observed.task) && saysQuota(s)
    ? { phase: "Starting", reason: "QuotaExceeded", message } // most likely it still waits
    : jobMade(s)
  const response = underWay(s, news, [...before, Action.CreateJob({ epoch })])
  if (isFresh(s) && launchesOf(s.observed) === 0) return later({ ...response, status: s.observed.task.status }, quietMillis)
  const status = launchedAs(ourJob(s), s.observed, s.policy, response.status)
  return later({ ...response, status }, s.policy.startupTimeoutSeconds * 1000)
}

export const launch: Respond = (s) => launchIn(s, epochOf(s.observed.holder))

export const takeAndLaunch: Respond = (s) => {
  const { holder } = s.observed
  const epoch = nextEpoch(holder)
  return launchIn(s, epoch, [Action.TakeWorkspace({ from: holder, epoch })])
}
