// The Jobs made for a task that is not claimed: how many there were, which of them counts, which makes way, and when the next is due.
// Invariant: each Job counts once, by its UID; a Job that is given up for a quota or a webhook no longer counts.
// Used by core/reconcile/situation, core/reconcile/response and core/reconcile/start.
import type { AgentTask, AgentTaskStatus } from "../../schema/task/agent-task.ts"
import type { FailureReason } from "../../schema/task/reason.ts"
import { quotaPatienceSeconds } from "../../schema/values/task-pod.ts"
import { hadToGo, mostRetries, retryDelayMillis } from "../run/retries.ts"
import type { JobSeen, JobWatched, Seen } from "../task/observed.ts"
import type { TaskPolicy } from "../task/task-policy.ts"

/**
 * Returns how many Jobs may be made for a task whose launch failed for `why`: a few more if the Pod or its node had to go, which is not the
 * task's fault.
 */
export const mostLaunches = ({ maxLaunches }: TaskPolicy, why: FailureReason): number => maxLaunches + (hadToGo(why) ? mostRetries : 0)

/**
 * Reports whether the last word on the task's Job is that it has no Pod, for want of quota or because that is refused. If the Job is, the
 * task is queued instead.
 */
export const hadNoPod = ({ status: { phase, queue, reason } }: AgentTask): boolean =>
  phase === "Starting" && queue === undefined && (reason === "QuotaExceeded" || reason === "Refused")

/** Returns how many launches there were: as many as the status says, or one if a Job went before the status mentioned it. */
export const launchesOf = ({ hadJob, task }: Seen): number => task.status.launches ?? (hadJob ? 1 : 0)

// ── which one counts ──

type Why = NonNullable<NonNullable<AgentTaskStatus["job"]>["replacedFor"]>

/** Reports whether the task's Job makes way for another, for this or for any reason. That holds until there is another, or this one goes on. */
export const isReplaced = ({ status: { job } }: AgentTask, why?: Why): boolean =>
  why === undefined ? job?.replacedFor !== undefined : job?.replacedFor === why

/** Reports whether it is this very Job that makes way for that reason. One that was made since then has a minute of its own. */
export const isGivenUp = (task: AgentTask, { uid }: JobSeen, why: Why): boolean => isReplaced(task, why) && task.status.job?.uid === uid

/** Returns the status with this Job given up, until there is another. One that waited for others was no launch, so that is taken back. */
export const withGivenUp = (status: AgentTaskStatus, { name, uid }: JobSeen, why: Why): AgentTaskStatus => ({
  ...status,
  ...(why === "QuotaExceeded" && { launches: (status.launches ?? 1) - 1 }),
  job: { name, uid, replacedFor: why }
})

/**
 * Reports whether `launches` includes this Job. It does not include a Job that the status has not mentioned yet, such as the first Job or
 * one whose maker ended too early, nor a Job that was given up.
 */
export const isCounted = (task: AgentTask, { uid }: JobSeen): boolean => {
  const { job, launches = 0 } = task.status
  return launches > 0 && !isReplaced(task, "QuotaExceeded") && (job?.uid ?? uid) === uid
}

/** Returns the status with this Job counted, once, when the status first mentions it. */
export const withCounted = (status: AgentTaskStatus, s: Seen, job: JobSeen): AgentTaskStatus => ({
  ...status,
  job: { name: job.name, uid: job.uid },
  launches: launchesOf(s) + (isCounted(s.task, job) ? 0 : 1),
  configHash: job.configHash || s.policy.configHash
})

/** Returns the status with one more launch. The UID of its Job is known only once the Job is made. */
export const withLaunch = (status: AgentTaskStatus, s: Seen, name: string): AgentTaskStatus => ({
  ...status,
  job: { name },
  launches: launchesOf(s) + 1,
  configHash: s.policy.configHash
})

// ── which one makes way ──

/**
 * Reports whether no other Job is made in place of one that vanished. One without a Pod counts too, but may be followed by three beyond the
 * limit: it may have waited until its deadline, and been removed, while no controller was there.
 */
export const launchesAreSpent = (s: Seen): boolean =>
  !isReplaced(s.task) && launchesOf(s) >= s.policy.maxLaunches + (hadNoPod(s.task) ? mostRetries : 0)

/** Returns the status of a task that is over: no other Job is made for it, whatever its last one was to be replaced for. */
export const withoutReplacedFor = (status: AgentTaskStatus): AgentTaskStatus => {
  if (status.job === undefined) return status
  const { replacedFor: _, ...job } = status.job
  return { ...status, job }
}

export const quotaPatienceMillis = quotaPatienceSeconds * 1000

/** Reports whether a Job that still waits for a quota or a webhook is to be given up, or was already. */
export const isOutOfPatience = (task: AgentTask, job: JobWatched): boolean =>
  isGivenUp(task, job, "QuotaExceeded") || job.knownMillis >= quotaPatienceMillis

// ── when the next is due ──

/** Returns the milliseconds from one launch to the next, after as many failed launches as the status has. */
export const nextAfterMillis = ({ launches = 1 }: AgentTaskStatus): number => retryDelayMillis(launches)
