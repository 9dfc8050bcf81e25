// The questions that the table of situations asks of what was observed; each gives the row's response what it found.
// They are asked in the table's order, so each may assume that those above it found nothing.
// Used by core/reconcile/plan and all that it is made of; controller/reconcile/ask uses its `jobAgeMillis`, and cli/doctor/doctor-left its `millisSince`.
import { Equal, Option } from "effect"
import { assignmentId } from "../../schema/api/pool-api.ts"
import { type AgentTask, mutates } from "../../schema/task/agent-task.ts"
import { isFailure } from "../../schema/task/reason.ts"
import { isOther, isVacant } from "../scheduling/workspace-lease.ts"
import { isPlain, jobName } from "../task/job-name.ts"
import { isForGood, type JobSeen, type JobWatched, type Observed, type PodSeen, SourceSeen, Turn } from "../task/observed.ts"
import { claimLostExitCode } from "../task/places.ts"
import { isCalledOff, isOfNewerVersion, isOver } from "../task/status.ts"
import type { TaskPolicy } from "../task/task-policy.ts"
import { templateRefusal } from "../task/template-keys.ts"
import { unknownOption } from "../task/unknown-option.ts"
import { isUnpinned, waitsForSource } from "./flux-source.ts"
import { isCounted, isGivenUp, isLaunchMarkedFailed, isOutOfPatience, isReplaced, launchesOf, nextAfterMillis } from "./launches.ts"
import { isEngineOver, isPodOver, longestStartMillis, troubleOfStart, waitsForQuota } from "./pod-trouble.ts"

/** What every question and response gets: the observation, the policy and the time, in RFC 3339. */
export interface Situation {
  readonly observed: Observed
  readonly policy: TaskPolicy
  readonly now: string
}

export const millisSince = (from: string, now: string): number => Date.parse(now) - Date.parse(from)

/**
 * Returns a Job's age by two clocks, one of which may be behind. It is good for when to speak and to look again, and never for an end.
 */
export const jobAgeMillis = ({ createdAt, knownMillis }: Pick<JobWatched, "createdAt" | "knownMillis">, now: string): number =>
  Math.max(millisSince(createdAt, now), knownMillis)

/** How long a Job may outlive the worker's result; usually it is about a second. */
export const leftoverPatienceMillis = 90_000

/** How long the Pod of a claim may be unready, as while its runner is started again, before its node is taken for one that may have died. */
export const unreadyPatienceMillis = 120_000

/** Returns how long ago a task ended, by the clock of its node. That may be ahead, or behind, but no task ends before it is made. */
export const millisSinceEnd = (
  { metadata: { creationTimestamp }, status: { finishedAt = creationTimestamp } }: AgentTask,
  now: string
): number => Math.min(millisSince(finishedAt, now), millisSince(creationTimestamp, now))

/** A question of the table. It returns what it found, for the row's response, or none if the task is not in that situation. */
export type When<Found> = (situation: Situation) => Option.Option<Found>

type Holds = (situation: Situation) => boolean

/** Returns a question that asks only whether `holds`; what it finds is of no use to a response. */
export const is = (holds: Holds): When<unknown> => Option.liftPredicate(holds)
/** Returns a question that finds the task's Job if there is one and `holds` of it. */
const itsJob = (holds: (situation: Situation, job: JobWatched) => boolean): When<JobWatched> => (s) =>
  Option.filter(s.observed.job, (job) => holds(s, job))

/** Returns the id by which the pool knows the stage; none for a task that is not the pool's. */
export const assignmentOf: When<string> = ({ observed: { task: { spec } } }) =>
  Option.map(Option.fromUndefinedOr(spec.pool), ({ runId }) => assignmentId(runId, spec.stage, spec.attempt ?? 1))

const taskOver: Holds = ({ observed: { task } }) => isOver(task.status.phase)
const fromPool: Holds = ({ observed: { task } }) => task.spec.pool !== undefined
const deleted: Holds = ({ observed: { task } }) => task.metadata.deletionTimestamp !== undefined
const isClaimed: Holds = ({ observed: { task } }) => task.status.claim !== undefined
export const jobGoesOn: Holds = ({ observed: { job } }) => Option.exists(job, ({ deleting, state }) => state === "active" && !deleting)
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

/** A task of which that was said stays so until its Pod is ready, also under a controller that has just begun to look. */
const isUnreadyForLong: Holds = ({ observed: { task: { status }, unreadyMillis } }) =>
  unreadyMillis >= unreadyPatienceMillis || status.reason === "PodNotReady"

/** Reports whether the worker has ended, but nothing ends its runner: another container keeps the Pod, or kept it until its Job was deleted. */
const isKept = (s: Situation, pod: PodSeen): boolean =>
  isPodOver(pod) && (isFailure(s.observed.task.status.reason) || (pod.keptBy.length > 0 && !pod.deleting && isUnreadyForLong(s)))

/**
 * Reports whether the launch failed and no Pod of it is left. Its Job is to be deleted, and may be already, though the cache does not show
 * that yet.
 */
const isClearedAway = ({ observed: { pod, task } }: Situation, job: JobSeen): boolean =>
  isLaunchMarkedFailed(task, job) && Option.isNone(pod)
/** Reports whether the start of a Job has taken all of its time, and `moreMillis` beyond it, by a monotonic clock. */
const overdue = ({ observed, policy }: Situation, { startingMillis }: JobWatched, moreMillis = 0): boolean =>
  startingMillis >= longestStartMillis(observed, policy) + moreMillis

/**
 * Reports whether the task has its workspace, for which others may wait, and an artifact is written down. It starts with that artifact,
 * which the digest guards, unless the source was changed.
 */
const hasAll: Holds = ({ observed: { holder, task } }) => holder._tag === "Mine" && task.status.source !== undefined

export const when = {
  ofNewerVersion: is(({ observed: { task } }) => isOfNewerVersion(task.status.phase)),
  leftover: itsJob((s) => {
    const { task } = s.observed
    return taskOver(s) && jobGoesOn(s) && (task.status.result === undefined || millisSinceEnd(task, s.now) >= leftoverPatienceMillis)
  }),
  unreported: (s) => Option.filter(assignmentOf(s), () => taskOver(s) && s.observed.task.status.reportedAt === undefined),
  releasable: is((s) => taskOver(s) && deleted(s) && fromPool(s)),
  expired: is((s) => taskOver(s) && s.observed.expired && !deleted(s)),
  final: is(taskOver),
  deletedUncancelled: (s) => Option.liftPredicate(s.observed.task, ({ spec }) => deleted(s) && fromPool(s) && spec.cancel !== true),
  lastWords: (s) => Option.filter(Option.flatMap(s.observed.pod, ({ lastWords }) => lastWords), () => isClaimed(s)),
  lost: is((s) => isClaimed(s) && Option.match(s.observed.pod, { onNone: () => true, onSome: isEngineOver })),
  unreachable: (s) => Option.filter(s.observed.pod, (pod) => isClaimed(s) && !pod.nodeAnswers),
  kept: (s) => Option.filter(s.observed.pod, (pod) => isClaimed(s) && isKept(s, pod)),
  unsaved: is((s) => isClaimed(s) && s.observed.task.status.reason === "StateUnsaved"),
  unready: (s) => Option.filter(s.observed.pod, ({ unready }) => isClaimed(s) && unready && isUnreadyForLong(s)),
  stopping: is((s) => isClaimed(s) && s.observed.task.spec.cancel === true),
  running: is(isClaimed),
  calledOff: is(({ observed: { task } }) => isCalledOff(task)),
  refusedForGood: ({ observed: { refusal } }) => Option.filter(refusal, isForGood),
  stuck: itsJob((s, job) => job.deleting && overdue(s, job)),
  // Once overdue, the Job evidently cannot be deleted, and the rows below decide.
  clearedAway: itsJob((s, job) => isClearedAway(s, job) && (job.deleting || !overdue(s, job, nextAfterMillis(s.observed.task.status)))),
  quotaOutlasted: itsJob((s, job) => {
    const { hadPod, task } = s.observed
    return job.deleting
      ? isGivenUp(task, job)
      : !hadPod && jobGoesOn(s) && waitsForQuota(s.observed) && isOutOfPatience(task, job)
  }),
  launchFailed: itsJob((s, { state }) => state !== "active" || podWent(s) || (podOver(s) && !makesWay(s))),
  cannotStart: itsJob((s) => Option.exists(troubleOfStart(s.observed), ({ final }) => final)),
  startOverdue: itsJob((s, job) => overdue(s, job) && !waitsForQuota(s.observed)),
  jobDiffersFromStatus: itsJob((s, job) => {
    const { task } = s.observed
    return isLaunchMarkedFailed(task, job) || (task.status.job?.uid !== undefined && !isCounted(task, job))
  }),
  starting: ({ observed: { job } }) => job,
  launchesSpent: is((s) => launchesOf(s.observed) >= s.policy.maxLaunches && !isReplaced(s.observed.task)),
  templateRefused: ({ observed: { task }, policy: { allowedKeys } }) => Option.fromUndefinedOr(templateRefusal(task, allowedKeys)),
  optionUnknown: ({ observed: { task } }) => unknownOption(task.spec.options, "controller"),
  deniedTooLong: ({ observed: { deniedMillis, refusal }, policy: { startupTimeoutSeconds } }) =>
    Option.filter(refusal, ({ kind }) => kind === "Denied" && deniedMillis >= startupTimeoutSeconds * 1000),
  refusedForNow: ({ observed: { refusal } }) => refusal,
  waiting: ({ observed: { turn } }) => Option.liftPredicate(turn, Turn.$is("Waiting")),
  workspaceTaken: (s) => Option.filter(Option.liftPredicate(s.observed.holder, isOther), () => changes(s)),
  workspaceUnasked: is((s) => s.observed.holder._tag === "NotAsked" && changes(s)),
  sourceUnasked: is(({ observed: { source, task } }) => source._tag === "NotAsked" && isUnpinned(task)),
  sourceNotReady: (s) =>
    Option.filter(Option.liftPredicate(s.observed.source, SourceSeen.$is("NotReady")), ({ changed }) => changed || !hasAll(s)),
  toPin: ({ observed: { source, task } }) =>
    Option.filter(
      Option.fromUndefinedOr(source._tag === "Ready" ? source.artifact : task.status.source),
      (artifact) => waitsForSource(task) || (isUnpinned(task) && !Equal.equals(task.status.source, artifact))
    ),
  jobUnnamed: is(({ observed: { task: { metadata: { name }, status: { job, launches = 0 } } }, policy: { basename } }) =>
    job === undefined ? !isPlain(basename, name) : launches === 0 && job.uid === undefined && job.name !== jobName(basename, name)
  ),
  workspaceFree: (s) => Option.filter(Option.liftPredicate(s.observed.holder, isVacant), () => changes(s))
} satisfies Readonly<Record<string, When<unknown>>>
