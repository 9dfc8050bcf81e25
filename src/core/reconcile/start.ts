// The responses to a task that no worker has claimed: its Job is made, shown while it starts, cleared away for another, or given up.
// A task's end is written before its Job is deleted: the status, guarded by its version, decides between a cancel and a claim.
// Used by core/reconcile/plan.
import { Option } from "effect"
import { type FailureReason, isFailure, isReason } from "../../schema/task/reason.ts"
import type { Artifact } from "../../schema/task/source.ts"
import { epochOf, nextEpoch, type Vacant } from "../scheduling/workspace-lease.ts"
import { jobName } from "../task/job-name.ts"
import {
  failureReasonOf,
  type JobSeen,
  type JobWatched,
  type PodSeen,
  type Refusal,
  type RefusalForGood,
  type Seen,
  waitReasonOf
} from "../task/observed.ts"
import type { News } from "../task/status.ts"
import { spreadMillis } from "../text/fingerprint.ts"
import { Action } from "./action.ts"
import {
  hadNoPod,
  isCounted,
  isGivenUp,
  isReplaced,
  launchesOf,
  mostLaunches,
  nextAfterMillis,
  quotaPatienceMillis,
  withCounted,
  withGivenUp,
  withLaunch
} from "./launches.ts"
import {
  andThen,
  deleteJob,
  ended,
  later,
  lookAgainMillis,
  noticesOfDeletion,
  noticesToPool,
  type Respond,
  type RespondTo,
  type Response,
  sameNews,
  step,
  unchanged,
  underWay
} from "./response.ts"
import { isDeniedTooLong, jobAgeMillis, podWent } from "./situation.ts"
import { endOfStart, foreignTurn, longestStartMillis, lookForNode, nextToStart, troubleOfStart, waitsForOthers } from "./start-trouble.ts"

/**
 * Returns when to look again at a start of this age. The longer it has waited, the less a delay matters, and a thousand that wait must not
 * cause two hundred requests a second.
 */
const lookAgainAfter = (age: number): number => Math.min(Math.max(lookAgainMillis, age), 60_000)
/** How long the status is silent about a new start: a start that goes well is told by the worker's claim alone. */
const quietMillis = 3_000
/** How long a start may take before the status also names the Pod's node, which may be what is slow. Usually that would be a write for nothing. */
const slowMillis = 30_000

export const finishCalledOff: Respond = (s) =>
  ended(
    s,
    "Cancelled",
    "Cancelled",
    `${s.task.spec.cancel === true ? "Cancelled" : "Deleted"} before it started; nothing was run.`
  )

export const finishRefused: RespondTo<RefusalForGood> = (s, refusal) => ended(s, "Failed", failureReasonOf(refusal), refusal.message)

export const finishInvalid: RespondTo<string> = (s, message) => ended(s, "Failed", "InvalidConfiguration", message)

export const finishDenied: RespondTo<Refusal> = (s, { message }) => {
  const { startupTimeoutSeconds } = s.policy
  const next =
    `It was denied for ${startupTimeoutSeconds} s (task.startupTimeoutSeconds); correct that, and run the task again. Nothing was run.`
  return ended(s, "Failed", "Denied", andThen(message, next))
}

/** Reports whether the status says nothing of a start or a wait yet. */
const isFresh = ({ task: { status: { phase = "Pending" } } }: Seen): boolean => phase === "Pending"

const ourJob = ({ policy, task }: Seen): string => jobName(policy.basename, task.metadata.name)

const starting = (message: string): News => ({ phase: "Starting", reason: "JobCreated", message })

const jobMade = (s: Seen, pod = "its Pod is starting"): News => starting(`Job ${ourJob(s)} was created; ${pod}.`)

/** Returns the response with the Job counted, as the status mentions that Job now. */
const counting = (s: Seen, job: JobSeen, response: Response): Response => ({ ...response, status: withCounted(response.status, s, job) })

/** Returns why the launch failed, as one reason and sentence. */
const notStarted = (s: Seen): Pick<News, "message"> & { readonly reason: FailureReason } =>
  podWent(s)
    ? { reason: "Evicted", message: "The Pod is gone, and a quota or a webhook keeps Kubernetes from making another." }
    : endOfStart(s)

export const finishNotStarted: RespondTo<JobSeen> = (s, job) => {
  const { reason, message } = notStarted(s)
  return counting(s, job, ended(s, "Failed", reason, andThen(message, "Nothing was run.")))
}

export const finishStuck: RespondTo<JobSeen> = (s, job) => {
  const because = Option.match(s.pod, {
    onNone: () => "a finalizer keeps it; remove what is in its metadata.finalizers",
    onSome: ({ name, node }) => `its Pod ${name} is still there; check ${node === "" ? "what keeps it" : `node ${node}`}`
  })
  return counting(
    s,
    job,
    ended(s, "Failed", "StartupTimeout", `Job ${job.name} was deleted, but ${because}, then run the task again. Nothing was run.`)
  )
}

/** Deletes the Job and looks again, because a finalizer may keep it. */
const deleteAndLook: RespondTo<JobWatched> = (s, job) => later(deleteJob(s, job), lookAgainAfter(jobAgeMillis(job, s.now)))

/** Says that the Job of a failed launch may not be deleted, or fails for that. */
const showKept: RespondTo<Refusal> = (s, refusal) => {
  const { againInMillis, message } = refusal
  return isDeniedTooLong(s)
    ? finishDenied(s, refusal)
    : later(underWay(s, { phase: "Starting", reason: waitReasonOf(refusal), message }), againInMillis)
}
/** Reports whether the status says of the Job of a failed launch that it may not be deleted, as is still so: else it says why that failed. */
const saysKept = ({ task: { status: { reason } } }: Seen, { deleting }: JobSeen): boolean => !isFailure(reason) && !deleting

/** Deletes the Job of a failed launch, but not before the next launch is due. */
const clearAwayWhenDue = (s: Seen, job: JobWatched, told: Response): Response => {
  const soonest = nextAfterMillis(s.task.status) - job.knownMillis
  if (soonest > 0) return later(told, soonest)
  return Option.match(Option.filter(s.refusal, ({ ofDeletion }) => ofDeletion === true && !job.deleting), {
    onNone: () => deleteAndLook(s, job),
    onSome: (refusal) => showKept(s, refusal)
  })
}

/** Clears the Job away when that is due. The status stays as it is, and a pool that has not heard it is told. */
export const clearAway: RespondTo<JobWatched> = (s, job) => {
  const { message = "", reason } = s.task.status
  return clearAwayWhenDue(s, job, { ...unchanged(s), notices: isReason(reason) ? noticesToPool(s, { reason, message }) : [] })
}

/**
 * Ends a launch that failed, in passes, each of which a crash may follow:
 * 1. the Job is not given up, and no launch is left: the task fails;
 * 2. the status does not say so, or not why: it says both, guarded by its version: a Pod that has claimed meanwhile keeps its Job;
 * 3. the next launch is not due: wait;
 * 4. it is due: delete the Job, and look again until it is gone and `launch` makes another; say so if it may not be deleted, and fail if
 *    that is denied for as long as a start may take.
 */
export const clearAwayOrFail: RespondTo<JobWatched> = (s, job) => {
  const { message, reason } = notStarted(s)
  const { launches = 1 } = withCounted(s.task.status, s, job)
  if (!isGivenUp(s.task, job, "LaunchFailed") && launches >= mostLaunches(s.policy, reason)) return finishNotStarted(s, job)
  const news: News = { phase: "Starting", reason, message: andThen(message, "It is launched again.") }
  const told = underWay(s, news)
  if (isGivenUp(s.task, job, "LaunchFailed")) {
    if (saysKept(s, job)) return clearAwayWhenDue(s, job, unchanged(s))
    if (sameNews(s, news)) return clearAwayWhenDue(s, job, told)
  }
  const { status } = counting(s, job, told)
  return later({ ...told, status: withGivenUp(status, job, "LaunchFailed") }, 0)
}

/** Returns what a Job that is being deleted waits for. */
const jobDeleting = ({ pod }: Seen, { name }: JobWatched): News =>
  starting(
    `Job ${name} is being deleted; ${
      Option.match(pod, {
        onNone: () => "a finalizer keeps it",
        onSome: (pod) => `its Pod ${pod.name} is still there`
      })
    }.`
  )

/** Returns where the Pod starts, and which container is to start next, or what to look at if it has no node. */
const whereItStarts = (pod: PodSeen): string => {
  if (pod.node === "") return `its Pod has no node yet; ${lookForNode}`
  const next = Option.match(foreignTurn(pod), {
    onNone: () =>
      Option.match(nextToStart(pod), {
        onNone: () => "",
        onSome: (container) => `, which may still be pulling the image of container ${container}`
      }),
    onSome: (turn) => ` and waits for ${turn}`
  })
  return `its Pod ${pod.name} is starting on node ${pod.node}${next}`
}

/** Returns that the Pod starts, and once that takes long also where, which stays said: another controller's clock may differ. */
const podStarting = (s: Seen, job: JobWatched): News =>
  Option.match(s.pod, {
    onNone: () => jobMade(s),
    onSome: (pod) => {
      const told = jobMade(s, whereItStarts(pod))
      return sameNews(s, told) || jobAgeMillis(job, s.now) >= slowMillis ? told : jobMade(s)
    }
  })

/** Returns what the start waits for, or that the Pod starts if nothing is known to keep it. */
const startNews = (s: Seen, job: JobWatched): News =>
  job.deleting ? jobDeleting(s, job) : Option.match(troubleOfStart(s), {
    onNone: () => podStarting(s, job),
    onSome: ({ message, reason }) => ({ phase: "Starting", reason, message })
  })

/**
 * Deletes a Job that waits for a quota or a webhook, so that it is made again. The status is written first here too, with the launch taken
 * back. The pool is not told, as this is no news to it. That the Job may not be deleted is told in an event.
 */
export const makeAnew: RespondTo<JobWatched> = (s, job) => {
  if (isGivenUp(s.task, job, "QuotaExceeded")) return { ...deleteAndLook(s, job), notices: noticesOfDeletion(s) }
  const { status } = counting(s, job, { ...unchanged(s), status: step(s, startNews(s, job)) })
  return later({ ...unchanged(s), status: withGivenUp(status, job, "QuotaExceeded") }, 0)
}

export const finishVanished: Respond = (s) =>
  ended(
    s,
    "Failed",
    "Lost",
    "Its Job disappeared before a worker took the task: somebody deleted it, or it ended and was removed after task.job.ttlSecondsAfterFinished. Nothing was run; run the task again."
  )

export const showStarting: RespondTo<JobWatched> = (s, job) => {
  const { task } = s
  const age = jobAgeMillis(job, s.now)
  const quiet = isFresh(s) ? quietMillis : hadNoPod(s.task) ? lookAgainMillis : 0
  if (age < quiet && Option.isNone(troubleOfStart(s))) {
    return later(unchanged(s), Math.min(quiet - age, quiet) + spreadMillis(task.metadata.uid))
  }
  const left = waitsForOthers(s)
    ? quotaPatienceMillis - job.knownMillis
    : longestStartMillis(s, s.policy) - job.startingMillis
  const again = lookAgainAfter(age)
  const news = startNews(s, job)
  const told = underWay(s, news)
  return later(
    sameNews(s, news) && isCounted(task, job) && !isGivenUp(task, job, "LaunchFailed") ? told : counting(s, job, told),
    left > 0 ? Math.min(left, again) : again
  )
}

/** Writes down the artifact before there is a Job, because the worker reads it with its claim. */
export const pin: RespondTo<Artifact> = (s, source) => {
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
const launchIn = (s: Seen, epoch: number, before: ReadonlyArray<Action> = []): Response => {
  const { message = "", reason } = s.task.status
  const news: News = isReplaced(s.task, "QuotaExceeded") && hadNoPod(s.task) && isReason(reason)
    ? { phase: "Starting", reason, message } // most likely it still waits
    : jobMade(s)
  const response = underWay(s, news, [...before, Action.CreateJob({ epoch })])
  if (isFresh(s) && launchesOf(s) === 0) return later({ ...response, status: s.task.status }, quietMillis)
  return later({ ...response, status: withLaunch(response.status, s, ourJob(s)) }, s.policy.startupTimeoutSeconds * 1000)
}

export const launch: Respond = (s) => launchIn(s, epochOf(s.holder))

export const takeAndLaunch: RespondTo<Vacant> = (s, from) => {
  const epoch = nextEpoch(from)
  return launchIn(s, epoch, [Action.TakeWorkspace({ from, epoch })])
}
