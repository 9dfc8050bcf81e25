// The questions that the table of situations asks, each a plain predicate over what was observed.
// They are asked in the table's order, so each may assume that those above it did not hold.
// Used by core/plan and core/response; controller/observe uses its `millisSince`.
import { Equal, Option } from "effect"
import { mutates } from "../schema/agent-task.ts"
import { isUnpinned, waitsForSource } from "./flux-source.ts"
import { isPlain, jobName } from "./job-name.ts"
import { isCounted, isGivenUp, isLaunchMarkedFailed, isOutOfPatience, launchesOf, mostLaunches, nextAfterMillis } from "./launches.ts"
import { claimLostExitCode } from "./manifest/places.ts"
import { isForGood, type Observed } from "./observed.ts"
import { isEngineOver, isPodOver, longestStartMillis, troubleOfStart, waitsForQuota } from "./pod-trouble.ts"
import { isCalledOff, isOfNewerVersion, isOver } from "./status.ts"
import type { TaskPolicy } from "./task-policy.ts"

/** What every predicate and response gets: the observation, the policy and the time, in RFC 3339. */
export interface Situation {
  readonly observed: Observed
  readonly policy: TaskPolicy
  readonly now: string
}

export const millisSince = (from: string, now: string): number => Date.parse(now) - Date.parse(from)

/** How long a Job may outlive the worker's result; usually it is about a second. */
export const patienceMillis = 90_000

export const millisSinceEnd = ({ now, observed: { task: { metadata, status } } }: Situation): number =>
  millisSince(status.finishedAt ?? metadata.creationTimestamp, now)

type Holds = (situation: Situation) => boolean

const taskOver: Holds = ({ observed: { task } }) => isOver(task.status.phase)
const fromPool: Holds = ({ observed: { task } }) => task.spec.pool !== undefined
const deleted: Holds = ({ observed: { task } }) => task.metadata.deletionTimestamp !== undefined
const isClaimed: Holds = ({ observed: { task } }) => task.status.claim !== undefined
const jobThere: Holds = ({ observed: { job } }) => Option.isSome(job)
export const jobGoesOn: Holds = ({ observed: { job } }) => Option.exists(job, ({ deleting, state }) => state === "active" && !deleting)
const jobDeleting: Holds = ({ observed: { job } }) => Option.exists(job, ({ deleting }) => deleting)
const jobEnded: Holds = ({ observed: { job } }) => Option.exists(job, ({ state }) => state !== "active")
const podOver: Holds = ({ observed: { pod } }) => Option.exists(pod, isPodOver)
/**
 * Reports whether the worker left without the claim while the Job goes on, so that Kubernetes makes another Pod of the Job if there is none
 * already.
 */
const makesWay: Holds = (s) =>
  jobGoesOn(s) &&
  Option.exists(s.observed.pod, ({ worker }) => Option.contains(Option.flatMap(worker, ({ exitCode }) => exitCode), claimLostExitCode))
/**
 * Reports whether the Job's Pod is gone and a quota keeps Kubernetes from making another. The Pod may have begun to start, so this was a
 * launch, and not just a wait for the quota.
 */
export const podWent: Holds = (s) => jobGoesOn(s) && s.observed.hadPod && Option.isNone(s.observed.pod) && waitsForQuota(s.observed)
const changes: Holds = ({ observed: { task } }) => mutates(task.spec.stage)

/**
 * Reports whether the launch failed and no Pod of it is left. Its Job is to be deleted, and may be already, though the cache does not show
 * that yet.
 */
const isClearedAway: Holds = (s) => isLaunchMarkedFailed(s.observed) && Option.isNone(s.observed.pod)
/** Reports whether a start has taken all of its time, and `moreMillis` beyond it, by a monotonic clock. */
const overdue = ({ observed, policy }: Situation, moreMillis = 0): boolean =>
  Option.isSome(observed.job) && observed.startingMillis >= longestStartMillis(observed, policy) + moreMillis

/**
 * Reports whether the task has its workspace, for which others may wait, and an artifact is written down. It starts with that artifact,
 * which the digest guards, unless the source was changed.
 */
const hasAll: Holds = ({ observed: { holder, task } }) => holder._tag === "Mine" && task.status.source !== undefined

export const holds = {
  ofNewerVersion: ({ observed: { task } }) => isOfNewerVersion(task.status.phase),
  unreported: (s) => taskOver(s) && fromPool(s) && s.observed.task.status.reportedAt === undefined,
  leftover: (s) => taskOver(s) && jobGoesOn(s) && (s.observed.task.status.result === undefined || millisSinceEnd(s) >= patienceMillis),
  releasable: (s) => taskOver(s) && deleted(s) && fromPool(s),
  expired: (s) => taskOver(s) && s.observed.expired && !deleted(s),
  final: taskOver,
  deletedUncancelled: (s) => deleted(s) && fromPool(s) && s.observed.task.spec.cancel !== true,
  lastWords: (s) => isClaimed(s) && Option.exists(s.observed.pod, (pod) => Option.isSome(pod.lastWords)),
  lost: (s) => isClaimed(s) && Option.match(s.observed.pod, { onNone: () => true, onSome: isEngineOver }),
  unreachable: (s) => isClaimed(s) && Option.exists(s.observed.pod, (pod) => !pod.nodeAnswers),
  unsaved: (s) => isClaimed(s) && s.observed.task.status.reason === "StateUnsaved",
  stopping: (s) => isClaimed(s) && s.observed.task.spec.cancel === true,
  running: isClaimed,
  calledOff: ({ observed: { task } }) => isCalledOff(task),
  refusedForGood: ({ observed: { refusal } }) => Option.exists(refusal, ({ kind }) => isForGood(kind)),
  stuck: (s) => jobDeleting(s) && overdue(s),
  // Once overdue, the Job evidently cannot be deleted, and the rows below decide.
  clearedAway: (s) => isClearedAway(s) && (jobDeleting(s) || !overdue(s, nextAfterMillis(s.observed.task.status))),
  quotaOutlasted: (s) => {
    const { hadPod, job, jobKnownMillis, task } = s.observed
    return Option.exists(
      job,
      (job) =>
        job.deleting
          ? isGivenUp(task, job)
          : !hadPod && jobGoesOn(s) && waitsForQuota(s.observed) && isOutOfPatience(task, job, jobKnownMillis)
    )
  },
  launchFailed: (s) => jobThere(s) && (jobEnded(s) || podWent(s) || (podOver(s) && !makesWay(s))),
  launchesSpent: (s) => Option.isNone(s.observed.job) && launchesOf(s.observed) >= mostLaunches(s.policy, s.observed.task.status.reason),
  cannotStart: (s) => jobThere(s) && Option.exists(troubleOfStart(s.observed), ({ final }) => final),
  startOverdue: (s) => overdue(s) && !waitsForQuota(s.observed),
  jobDiffersFromStatus: (s) =>
    isLaunchMarkedFailed(s.observed) ||
    (s.observed.task.status.job?.uid !== undefined && Option.exists(s.observed.job, (job) => !isCounted(s.observed.task, job))),
  starting: jobThere,
  deniedTooLong: ({ observed: { deniedMillis, refusal }, policy: { startupTimeoutSeconds } }) =>
    Option.exists(refusal, ({ kind }) => kind === "Forbidden") && deniedMillis >= startupTimeoutSeconds * 1000,
  refusedForNow: ({ observed: { refusal } }) => Option.isSome(refusal),
  waiting: ({ observed: { turn } }) => turn._tag === "Waiting",
  workspaceTaken: (s) => changes(s) && (s.observed.holder._tag === "Taken" || s.observed.holder._tag === "Left"),
  sourceUnasked: ({ observed: { source, task } }) => source._tag === "NotAsked" && isUnpinned(task),
  sourceNotReady: (s) => s.observed.source._tag === "NotReady" && (s.observed.source.changed || !hasAll(s)),
  toPin: ({ observed: { source, task } }) =>
    waitsForSource(task) ||
    (source._tag === "Ready" && isUnpinned(task) && !Equal.equals(task.status.source, source.artifact)),
  jobUnnamed: ({ observed: { task: { metadata: { name }, status: { job, launches = 0 } } }, policy: { basename } }) =>
    job === undefined ? !isPlain(basename, name) : launches === 0 && job.uid === undefined && job.name !== jobName(basename, name),
  workspaceFree: (s) => changes(s) && s.observed.holder._tag !== "Mine"
} satisfies Readonly<Record<string, Holds>>
