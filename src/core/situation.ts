// The questions that the table of situations asks, each a plain predicate over what was observed.
// They are put in the table's order, so each may assume that those above it did not hold.
// Used by core/plan and core/response; controller/observe takes the time between two moments from it.
import { Equal, Option, Schema } from "effect"
import type { AgentTask } from "../schema/agent-task.ts"
import { WaitReason } from "../schema/reason.ts"
import { isUnpinned, waitsForSource } from "./flux-source.ts"
import { isPlain, jobName } from "./job-name.ts"
import { claimLostExitCode } from "./manifest/places.ts"
import { isForGood, type JobSeen, type Observed } from "./observed.ts"
import { delayMillis, hadToGo, mostAgain } from "./plan-again.ts"
import { isEngineOver, isPodOver, troubleOfStart, waitsForQuota } from "./pod-trouble.ts"
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

const isWait = Schema.is(WaitReason)

/**
 * Jobs that may be made for a task that nobody claims: some more where the last one had to go, which was no fault of its own, or waits for
 * its next since then.
 */
export const mostLaunches = ({ policy }: Situation, why: string | undefined): number =>
  policy.maxLaunches + (hadToGo(why) || isWait(why) ? mostAgain : 0)

type Holds = (situation: Situation) => boolean

const taskOver: Holds = ({ observed: { task } }) => isOver(task.status.phase)
const fromPool: Holds = ({ observed: { task } }) => task.spec.pool !== undefined
const deleted: Holds = ({ observed: { task } }) => task.metadata.deletionTimestamp !== undefined
const isClaimed: Holds = ({ observed: { task } }) => task.status.claim !== undefined
const jobThere: Holds = ({ observed: { job } }) => Option.isSome(job)
const foreignJob: Holds = ({ observed: { job, task } }) => Option.exists(job, ({ owner }) => !Option.contains(owner, task.metadata.uid))
/** Its own: a stranger's is none of ours to delete, nor to wait for. */
export const jobGoesOn: Holds = (_) =>
  !foreignJob(_) && Option.exists(_.observed.job, ({ deleting, state }) => state === "active" && !deleting)
const jobDeleting: Holds = ({ observed: { job } }) => Option.exists(job, ({ deleting }) => deleting)
const jobEnded: Holds = ({ observed: { job } }) => Option.exists(job, (_) => _.state !== "active")
const podOver: Holds = ({ observed: { pod } }) => Option.exists(pod, isPodOver)
/** It left before it had the claim, and Kubernetes makes another Pod of its Job, if there is not one already. */
const makesWay: Holds = (_) =>
  jobGoesOn(_) &&
  Option.exists(_.observed.pod, ({ worker }) => Option.contains(Option.flatMap(worker, ({ exitCode }) => exitCode), claimLostExitCode))
/**
 * And a quota keeps Kubernetes from making another. That one may have begun to start, so this was a launch, and no Job that only waited.
 */
export const podWent: Holds = (_) => jobGoesOn(_) && _.observed.hadPod && Option.isNone(_.observed.pod) && waitsForQuota(_.observed)
const mutates: Holds = ({ observed: { task } }) => task.spec.stage !== "plan"

/**
 * For how long a Job may wait for a quota: its deadline runs meanwhile, and what is left after more than that may not be enough for its
 * stage.
 */
export const quotaPatienceMillis = 60_000
/** How the message begins from when its Job is given up for that, and its launch taken back, until there is another Job. */
export const madeAnew = "Its Job is made anew. "
export const isMadeAnew = ({ status }: AgentTask): boolean => status.message?.startsWith(madeAnew) === true
/** It is this Job that goes: one that was made since has its minute before it. */
export const isGivenUp = (task: AgentTask, job: JobSeen): boolean => isMadeAnew(task) && task.status.job?.uid === job.uid
/**
 * Whether `launches` has this Job in it: not the first one before the first word on it, one whose maker ended before it could say so, and
 * one that was given up and goes on.
 */
export const isCounted = (task: AgentTask, { uid }: JobSeen): boolean => {
  const { job, launches = 0 } = task.status
  return launches > 0 && !isMadeAnew(task) && (job?.uid ?? uid) === uid
}
/** How the message ends from when a launch has come to nothing, until there is another Job. */
export const launchedAgain = "It is launched again."
const isSaidToGo: Holds = ({ observed: { job, task: { status } } }) =>
  status.message?.endsWith(launchedAgain) === true && Option.exists(job, ({ uid }) => uid === status.job?.uid)
/** No Pod of such a launch is left: its Job goes, though that may not be heard of yet. */
const isClearedAway: Holds = (_) => isSaidToGo(_) && Option.isNone(_.observed.pod)
/** Those that are told of; one, if a Job went before a word was said on it. */
export const launchesOf = ({ observed: { hadJob, task } }: Situation): number => task.status.launches ?? (hadJob ? 1 : 0)
/** Of a Job that still waits for a quota. */
const isOutOfPatience = (task: AgentTask, job: JobSeen, knownMillis: number): boolean =>
  isGivenUp(task, job) || knownMillis >= quotaPatienceMillis

/** Whatever our clock says: the whole time a start may take has been seen to go by. */
const overdue = ({ observed: { job, startingMillis }, policy }: Situation, moreMillis = 0): boolean =>
  Option.isSome(job) && startingMillis >= policy.startupTimeoutSeconds * 1000 + moreMillis

export const holds = {
  ofNewerVersion: ({ observed: { task } }) => isOfNewerVersion(task.status.phase),
  unreported: (_) => taskOver(_) && fromPool(_) && _.observed.task.status.reportedAt === undefined,
  leftover: (_) => taskOver(_) && jobGoesOn(_) && (_.observed.task.status.result === undefined || millisSinceEnd(_) >= patienceMillis),
  releasable: (_) => taskOver(_) && deleted(_) && fromPool(_),
  expired: (_) => taskOver(_) && _.observed.expired && !deleted(_),
  final: taskOver,
  deletedUncancelled: (_) => deleted(_) && fromPool(_) && _.observed.task.spec.cancel !== true,
  lastWords: (_) => isClaimed(_) && Option.exists(_.observed.pod, (pod) => Option.isSome(pod.lastWords)),
  lost: (_) => isClaimed(_) && Option.match(_.observed.pod, { onNone: () => true, onSome: isEngineOver }),
  unreachable: (_) => isClaimed(_) && Option.exists(_.observed.pod, (pod) => !pod.nodeAnswers),
  unsaved: (_) => isClaimed(_) && _.observed.task.status.reason === "StateUnsaved",
  stopping: (_) => isClaimed(_) && _.observed.task.spec.cancel === true,
  running: isClaimed,
  calledOff: ({ observed: { task } }) => isCalledOff(task),
  refusedForGood: ({ observed: { refusal } }) => Option.exists(refusal, ({ kind }) => isForGood(kind)),
  foreignJob,
  stuck: (_) => jobDeleting(_) && overdue(_),
  clearedAway: (_) => isClearedAway(_) && (jobDeleting(_) || !overdue(_, delayMillis(_.observed.task.status.launches ?? 1))), // it cannot be deleted
  quotaOutlasted: (_) => {
    const { hadPod, job, jobKnownMillis, task } = _.observed
    return Option.exists(
      job,
      (job) =>
        job.deleting
          ? isGivenUp(task, job)
          : !hadPod && jobGoesOn(_) && waitsForQuota(_.observed) && isOutOfPatience(task, job, jobKnownMillis)
    )
  },
  launchFailed: (_) => jobThere(_) && (jobEnded(_) || podWent(_) || (podOver(_) && !makesWay(_))),
  launchesSpent: (_) => Option.isNone(_.observed.job) && launchesOf(_) >= mostLaunches(_, _.observed.task.status.reason),
  cannotStart: (_) => jobThere(_) && Option.exists(troubleOfStart(_.observed), ({ final }) => final),
  startOverdue: (_) => overdue(_) && !waitsForQuota(_.observed),
  toldOtherwise: (_) =>
    isSaidToGo(_) ||
    (_.observed.task.status.job?.uid !== undefined && Option.exists(_.observed.job, (job) => !isCounted(_.observed.task, job))),
  starting: jobThere,
  refusedForNow: ({ observed: { refusal } }) => Option.isSome(refusal),
  waiting: ({ observed: { turn } }) => turn._tag === "Waiting",
  workspaceTaken: (_) => mutates(_) && _.observed.holder._tag === "Taken",
  sourceUnasked: ({ observed: { source, task } }) => source._tag === "NotAsked" && isUnpinned(task),
  sourceNotReady: ({ observed: { source } }) => source._tag === "NotReady",
  outdated: ({ observed: { source, task } }) =>
    source._tag === "Ready" && isUnpinned(task) && (!Equal.equals(task.status.source, source.artifact) || waitsForSource(task)),
  jobUnnamed: ({ observed: { task: { metadata: { name }, status: { job, launches = 0 } } }, policy: { basename } }) =>
    job === undefined ? !isPlain(basename, name) : launches === 0 && job.uid === undefined && job.name !== jobName(basename, name),
  workspaceFree: (_) => mutates(_) && _.observed.holder._tag !== "Mine"
} satisfies Readonly<Record<string, Holds>>
