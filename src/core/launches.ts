// The Jobs made for a task that nobody has claimed: how many there were, which of them counts, which makes way, and when the next is due.
// Always holds: each Job counts once, by its UID; one that only waited for a quota is no launch.
// Used by core/plan, core/situation and core/response.
import { Option, Schema } from "effect"
import type { AgentTask, AgentTaskStatus } from "../schema/agent-task.ts"
import { WaitReason } from "../schema/reason.ts"
import type { JobSeen, Observed } from "./observed.ts"
import { delayMillis, hadToGo, mostAgain } from "./plan-again.ts"
import type { TaskPolicy } from "./task-policy.ts"

const isWait = Schema.is(WaitReason)

/**
 * Jobs that may be made for a task that nobody claims: some more where the last one had to go, which was no fault of its own, or waits for
 * its next since then.
 */
export const mostLaunches = ({ maxLaunches }: TaskPolicy, why: string | undefined): number =>
  maxLaunches + (hadToGo(why) || isWait(why) ? mostAgain : 0)

/** Those that are told of; one, if a Job went before a word was said on it. */
export const launchesOf = ({ hadJob, task }: Pick<Observed, "hadJob" | "task">): number => task.status.launches ?? (hadJob ? 1 : 0)

// ── which one counts ──

/** Its Job is given up for a quota, and its launch taken back, until there is another Job. */
export const isMadeAnew = ({ status: { job } }: AgentTask): boolean => job?.replacedFor === "QuotaExceeded"

/**
 * Whether `launches` has this Job in it: not the first one before the first word on it, one whose maker ended before it could say so, and
 * one that was given up and goes on.
 */
export const isCounted = (task: AgentTask, { uid }: JobSeen): boolean => {
  const { job, launches = 0 } = task.status
  return launches > 0 && !isMadeAnew(task) && (job?.uid ?? uid) === uid
}

/** With the Job that is there counted, once, with the first word on it. */
export const counted = (
  { hadJob, job, task }: Pick<Observed, "hadJob" | "job" | "task">,
  { configHash }: TaskPolicy,
  status: AgentTaskStatus
): AgentTaskStatus =>
  Option.match(job, {
    onNone: () => status,
    onSome: (job) => {
      const launches = launchesOf({ hadJob, task })
      return {
        ...status,
        job: { name: job.name, uid: job.uid },
        launches: isCounted(task, job) ? launches : launches + 1,
        configHash: job.configHash || configHash
      }
    }
  })

/** With one more, whose UID is known once it is made. */
export const launchedAs = (
  name: string,
  observed: Pick<Observed, "hadJob" | "task">,
  { configHash }: TaskPolicy,
  status: AgentTaskStatus
): AgentTaskStatus => ({ ...status, job: { name }, launches: launchesOf(observed) + 1, configHash })

// ── which one makes way ──

/** The launch of the Job that is there is said to have come to nothing. */
export const isSaidToGo = ({ job, task: { status } }: Pick<Observed, "job" | "task">): boolean =>
  status.job?.replacedFor === "LaunchFailed" && Option.exists(job, ({ uid }) => uid === status.job?.uid)

/** From when that is said until there is another Job. */
export const failed = (status: AgentTaskStatus): AgentTaskStatus =>
  status.job === undefined ? status : { ...status, job: { ...status.job, replacedFor: "LaunchFailed" } }

/** Of a task that is over: no other Job comes. */
export const withoutReplacement = (status: AgentTaskStatus): AgentTaskStatus => {
  if (status.job === undefined) return status
  const { replacedFor: _, ...job } = status.job
  return { ...status, job }
}

/** It is this Job that goes: one that was made since has its minute before it. */
export const isGivenUp = (task: AgentTask, job: JobSeen): boolean => isMadeAnew(task) && task.status.job?.uid === job.uid

/** From when its Job is given up until there is another: with its launch taken back. */
export const givenUp = (status: AgentTaskStatus): AgentTaskStatus =>
  status.job === undefined
    ? status
    : { ...status, launches: (status.launches ?? 1) - 1, job: { ...status.job, replacedFor: "QuotaExceeded" } }

/**
 * For how long a Job may wait for a quota: its deadline runs meanwhile, and what is left after more than that may not be enough for its
 * stage.
 */
export const quotaPatienceMillis = 60_000

/** Of a Job that still waits for a quota. */
export const isOutOfPatience = (task: AgentTask, job: JobSeen, knownMillis: number): boolean =>
  isGivenUp(task, job) || knownMillis >= quotaPatienceMillis

// ── when the next is due ──

/** From one launch to the next, once this many came to nothing. */
export const nextAfterMillis = ({ launches = 1 }: AgentTaskStatus): number => delayMillis(launches)

// ── what an earlier release wrote ──

const madeAnew = "Its Job is made anew. "

/**
 * As this release writes it: a status of one before `status.job.replacedFor` says that in its message alone. This may go with the first
 * release to which none from before that field can be upgraded.
 */
export const withReplacement = (status: AgentTaskStatus): AgentTaskStatus => {
  const { job, message = "", phase } = status
  if (phase !== "Starting" || job === undefined || job.replacedFor !== undefined) return status
  if (message.endsWith("It is launched again.")) return failed(status)
  return message.startsWith(madeAnew)
    ? { ...status, message: message.slice(madeAnew.length), job: { ...job, replacedFor: "QuotaExceeded" } }
    : status
}
