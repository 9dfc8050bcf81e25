// The questions that the table of situations asks of what was observed; each gives the row's response what it found.
// They are asked in the table's order, so each may assume that those above it found nothing, and what its part of the table is about.
// Used by core/reconcile/plan and all that it is made of; controller/reconcile/ask uses its `jobAgeMillis`, and cli/doctor/earlier-doctors its `millisSince`.
import { Equal, Option } from "effect"
import { assignmentId } from "../../schema/api/pool-api.ts"
import { type AgentTask, mutates } from "../../schema/task/agent-task.ts"
import { isFailure } from "../../schema/task/reason.ts"
import { isOther, isVacant } from "../scheduling/workspace-lease.ts"
import { isPlain, jobName } from "../task/job-name.ts"
import { Holder, isForGood, type JobSeen, type JobWatched, type PodSeen, type Seen, SourceSeen, Turn } from "../task/observed.ts"
import { claimLostExitCode } from "../task/places.ts"
import { isCalledOff, isOfNewerVersion, isOver } from "../task/status.ts"
import { templateRefusal } from "../task/template-keys.ts"
import { unknownOption } from "../task/unknown-option.ts"
import { isUnpinned, waitsForSource } from "./flux-source.ts"
import { isCounted, isGivenUp, isOutOfPatience, launchesAreSpent, nextAfterMillis } from "./launches.ts"
import { isEngineOver, isPodOver } from "./pod-end.ts"
import { longestStartMillis, troubleOfStart, waitsForOthers } from "./start-trouble.ts"

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

/** Reports whether a task that is over has been so for longer than a pool that answers needs to hear of it. */
export const isLongOver = (overMillis: number): boolean => overMillis > 60_000

/** A question of the table. It returns what it found, for the row's response, or none if the task is not in that situation. */
export type When<Found> = (s: Seen) => Option.Option<Found>

export type Holds = (s: Seen) => boolean

/** Returns a question that asks only whether `holds`; what it finds is of no use to a response. */
export const is = (holds: Holds): When<unknown> => Option.liftPredicate(holds)
/** Returns a question that finds nothing while a refusal holds. */
export const unlessRefused = <Found>(when: When<Found>): When<Found> => (s) => Option.isSome(s.refusal) ? Option.none() : when(s)
/** Returns a question that finds the task's Job if there is one and `holds` of it. */
const itsJob = (holds: (s: Seen, job: JobWatched) => boolean): When<JobWatched> => (s) => Option.filter(s.job, (job) => holds(s, job))

/** Returns the id by which the pool knows the stage; none for a task that is not the pool's. */
export const assignmentOf: When<string> = ({ task: { spec } }) =>
  Option.map(Option.fromUndefinedOr(spec.pool), ({ runId }) => assignmentId(runId, spec.stage, spec.attempt ?? 1))

export const taskOver: Holds = ({ task }) => isOver(task.status.phase)
const fromPool: Holds = ({ task }) => task.spec.pool !== undefined
const unreported: When<string> = (s) => Option.filter(assignmentOf(s), () => s.task.status.reportedAt === undefined)
const deleted: Holds = ({ task }) => task.metadata.deletionTimestamp !== undefined
export const isClaimed: Holds = ({ task }) => task.status.claim !== undefined
export const jobGoesOn: Holds = ({ job }) => Option.exists(job, ({ deleting, state }) => state === "active" && !deleting)
const podOver: Holds = ({ pod }) => Option.exists(pod, isPodOver)
/**
 * Reports whether the worker left without the claim while the Job goes on, so that Kubernetes makes another Pod of the Job if there is none
 * already.
 */
const makesWay: Holds = (s) =>
  jobGoesOn(s) &&
  Option.exists(s.pod, ({ worker }) => Option.contains(Option.flatMap(worker, ({ exitCode }) => exitCode), claimLostExitCode))
/**
 * Reports whether the Job's Pod is gone and a quota or webhook keeps Kubernetes from making another. The Pod may have begun to start, so
 * this was a launch, and not just such a wait.
 */
export const podWent: Holds = (s) => jobGoesOn(s) && s.hadPod && Option.isNone(s.pod) && waitsForOthers(s)

/** A task of which that was said stays so until its Pod is ready, also under a controller that has just begun to look. */
const isUnreadyForLong: Holds = ({ task: { status }, unreadyMillis }) =>
  unreadyMillis >= unreadyPatienceMillis || status.reason === "PodNotReady"

/** Reports whether the worker has ended, but nothing ends its runner: another container keeps the Pod, or kept it until its Job was deleted. */
const isKept = (s: Seen, pod: PodSeen): boolean =>
  isPodOver(pod) && (isFailure(s.task.status.reason) || (pod.keptBy.length > 0 && !pod.deleting && isUnreadyForLong(s)))

/**
 * Reports whether the launch failed and no Pod of it is left. Its Job is to be deleted, and may be already, though the cache does not show
 * that yet.
 */
const isClearedAway = ({ pod, task }: Seen, job: JobSeen): boolean => isGivenUp(task, job, "LaunchFailed") && Option.isNone(pod)
/** Reports whether the start of a Job has taken all of its time, and `moreMillis` beyond it, by a monotonic clock. */
const overdue = (s: Seen, { startingMillis }: JobWatched, moreMillis = 0): boolean =>
  startingMillis >= longestStartMillis(s, s.policy) + moreMillis

/** Reports whether the last refusal is a denial, which has lasted for as long as a start may take. */
export const isDeniedTooLong: Holds = ({ deniedMillis, policy: { startupTimeoutSeconds }, refusal }) =>
  Option.exists(refusal, ({ kind }) => kind === "Denied") && deniedMillis >= startupTimeoutSeconds * 1000

/**
 * Reports whether the task has its workspace, for which others may wait, and an artifact is written down. It starts with that artifact,
 * which the digest guards, unless the source was changed.
 */
const hasAll: Holds = ({ holder, task }) => holder._tag === "Mine" && task.status.source !== undefined

export const when = {
  ofNewerVersion: is(({ task }) => isOfNewerVersion(task.status.phase)),
  always: is(() => true),

  // the task is over
  leftover: itsJob((s) => jobGoesOn(s) && (s.task.status.result === undefined || s.overMillis >= leftoverPatienceMillis)),
  longUnreported: (s) => Option.filter(unreported(s), () => isLongOver(s.overMillis)),
  unreported,
  releasable: is((s) => deleted(s) && fromPool(s)),
  expired: is((s) => s.expired && !deleted(s)),

  deletedUncancelled: (s) => Option.liftPredicate(s.task, ({ spec }) => deleted(s) && fromPool(s) && spec.cancel !== true),

  // a worker has claimed it
  lastWords: ({ pod }) => Option.flatMap(pod, ({ lastWords }) => lastWords),
  lost: is(({ pod }) => Option.match(pod, { onNone: () => true, onSome: isEngineOver })),
  unreachable: ({ pod }) => Option.filter(pod, ({ nodeAnswers }) => !nodeAnswers),
  unsaved: is(({ task }) => task.status.reason === "StateUnsaved"),
  kept: (s) => Option.filter(s.pod, (pod) => isKept(s, pod)),
  unready: (s) => Option.filter(s.pod, ({ unready }) => unready && isUnreadyForLong(s)),
  stopping: is(({ task }) => task.spec.cancel === true),

  // no worker has claimed it
  calledOff: is(({ task }) => isCalledOff(task)),
  refusedForGood: ({ refusal }) => Option.filter(refusal, isForGood),
  stuck: itsJob((s, job) => job.deleting && overdue(s, job)),
  // Once overdue, the Job evidently cannot be deleted, and the rows below decide.
  clearedAway: itsJob((s, job) => isClearedAway(s, job) && (job.deleting || !overdue(s, job, nextAfterMillis(s.task.status)))),
  waitOutlasted: itsJob((s, job) =>
    job.deleting ? isGivenUp(s.task, job, "QuotaExceeded") : !s.hadPod && jobGoesOn(s) && waitsForOthers(s) && isOutOfPatience(s.task, job)
  ),
  launchFailed: itsJob((s, { state }) => state !== "active" || podWent(s) || (podOver(s) && !makesWay(s))),
  cannotStart: itsJob((s) => Option.exists(troubleOfStart(s), ({ ends }) => ends === "never")),
  startOverdue: itsJob((s, job) => overdue(s, job) && !waitsForOthers(s)),
  jobDiffersFromStatus: itsJob(({ task }, job) =>
    isGivenUp(task, job, "LaunchFailed") || (task.status.job?.uid !== undefined && !isCounted(task, job))
  ),
  starting: ({ job }) => job,
  launchesSpent: is(launchesAreSpent),
  templateRefused: ({ policy: { allowedKeys }, task }) => Option.fromUndefinedOr(templateRefusal(task, allowedKeys)),
  optionUnknown: ({ task }) => unknownOption(task.spec, "controller"),
  deniedTooLong: (s) => Option.filter(s.refusal, () => isDeniedTooLong(s)),
  refusedForNow: ({ refusal }) => refusal,
  waiting: ({ turn }) => Option.liftPredicate(turn, Turn.$is("Waiting")),
  workspaceInDoubt: ({ holder }) => Option.liftPredicate(holder, Holder.$is("InDoubt")),
  workspaceTaken: ({ holder }) => Option.liftPredicate(holder, isOther),
  workspaceUnasked: is(({ holder, source, task }) => holder._tag === "NotAsked" && source._tag !== "NotReady" && mutates(task.spec.stage)),
  sourceUnasked: is(({ source, task }) => source._tag === "NotAsked" && isUnpinned(task)),
  sourceNotReady: (s) => Option.filter(Option.liftPredicate(s.source, SourceSeen.$is("NotReady")), ({ changed }) => changed || !hasAll(s)),
  toPin: ({ source, task }) =>
    Option.filter(
      Option.fromUndefinedOr(source._tag === "Ready" ? source.artifact : task.status.source),
      (artifact) => waitsForSource(task) || (isUnpinned(task) && !Equal.equals(task.status.source, artifact))
    ),
  jobUnnamed: is(({ policy: { basename }, task: { metadata: { name }, status: { job, launches = 0 } } }) =>
    job === undefined ? !isPlain(basename, name) : launches === 0 && job.uid === undefined && job.name !== jobName(basename, name)
  ),
  workspaceFree: ({ holder }) => Option.liftPredicate(holder, isVacant)
} satisfies Readonly<Record<string, When<unknown>>>
