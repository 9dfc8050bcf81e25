// What a response to a row is, and what all of them share: nothing changes, a task under way says news, a task ends, a Job is deleted.
// A status counts every launch that this process knows of, and the pool is told news until it has taken them.
// Used by core/reconcile/plan for its rows, by core/reconcile/attempt-conditions for its words, and by core/reconcile/over, core/reconcile/claimed, core/reconcile/waiting, core/reconcile/start and core/reconcile/follow, which respond to them.
import { Option } from "effect"
import { type AgentTask, type AgentTaskStatus, longestStatusMessage } from "../../schema/task/agent-task.ts"
import type { FailureReason } from "../../schema/task/reason.ts"
import { type JobSeen, type Seen, waitReasonOf } from "../task/observed.ts"
import { advance, fitting, type News } from "../task/status.ts"
import { sayTheSame } from "../text/same-words.ts"
import { sentence, shortened } from "../text/sentence.ts"
import { Action, Notice } from "./action.ts"
import { launchesOf, withoutReplacedFor } from "./launches.ts"
import { assignmentOf, jobGoesOn } from "./situation.ts"

export interface Response {
  /** The actions, carried out in this order before the status is written. The first that fails ends the pass. */
  readonly actions: ReadonlyArray<Action>
  readonly status: AgentTaskStatus
  /** Sent once the status is written: an end whose write was refused must not be announced, and no pool may hold up the status. */
  readonly notices: ReadonlyArray<Notice>
  /** Milliseconds until time alone may change the decision. */
  readonly requeueAfterMillis: Option.Option<number>
}
export type Respond = (s: Seen) => Response
/** A response to what the row's question found, such as the Job. */
export type RespondTo<Found> = (s: Seen, found: Found) => Response

export const unchanged = ({ task: { status } }: Seen, actions: ReadonlyArray<Action> = []): Response => ({
  actions,
  status,
  notices: [],
  requeueAfterMillis: Option.none()
})

/**
 * Returns the status after `news`. It counts a launch whose Job went before the status mentioned it, since only this process knows of that
 * one.
 */
export const step = (s: Seen, news: News) => {
  const { metadata: { generation }, status } = s.task
  return advance({ ...status, ...(s.hadJob && { launches: launchesOf(s) }) }, { ...news, generation, now: s.now })
}

/** Returns the report for the pool, until the pool has taken it, whatever the status says already. */
export const noticesToPool = (s: Seen, { message, reason }: Pick<News, "message" | "reason">): ReadonlyArray<Notice> => {
  const news = { reason, message: fitting(message) }
  const isTold = Option.exists(s.reportedWait, (wait) => wait.reason === news.reason && sayTheSame(wait.message, news.message))
  return isTold ? [] : Option.toArray(assignmentOf(s)).map((assignment) => Notice.ReportWait({ assignment, ...news }))
}

export const sameNews = ({ task: { status } }: Seen, { message, reason }: News): boolean =>
  status.reason === reason && status.message !== undefined && sayTheSame(status.message, fitting(message))

/** Returns a status for a task under way, and the report of it for the pool. Words that say the same as those of the status are left out. */
export const underWay = (s: Seen, news: News, actions: ReadonlyArray<Action> = []): Response => {
  const { message = news.message } = s.task.status
  const told = sameNews(s, news) ? { ...news, message } : news
  return { ...unchanged(s, actions), status: step(s, told), notices: noticesToPool(s, told) }
}

export const later = (response: Response, millis: number): Response => ({
  ...response,
  requeueAfterMillis: Option.some(Math.max(millis, 0))
})

export const ended = (
  s: Seen,
  phase: "Failed" | "Cancelled",
  reason: FailureReason | "Cancelled",
  message: string
): Response => ({
  ...unchanged(s),
  status: withoutReplacedFor(step(s, { phase, reason, message })),
  notices: [Notice.Emit({ type: phase === "Failed" ? "Warning" : "Normal", reason, message })]
})

/** Deletes the Job, unless that is under way or was just refused. */
export const deleteJob: RespondTo<JobSeen> = (s, { deleting, name, resourceVersion, uid }) =>
  unchanged(s, deleting || Option.isSome(s.refusal) ? [] : [Action.DeleteJob({ name, uid, resourceVersion })])

/** Tells in an event that the Job may not be deleted, where the status of the task has other things to say. */
export const noticesOfDeletion = (s: Seen): ReadonlyArray<Notice> =>
  Option.toArray(Option.filter(s.refusal, ({ ofDeletion }) => ofDeletion === true && jobGoesOn(s))).map((refusal) =>
    Notice.Emit({ type: "Warning", reason: waitReasonOf(refusal), message: refusal.message })
  )

/** Cancels the task, or one that it made, unless that was done already. */
export const cancel: RespondTo<AgentTask> = (s, { metadata: { name, uid }, spec }) =>
  unchanged(s, spec.cancel === true ? [] : [Action.Cancel({ name, uid })])

/** Adds a sentence to a message that may be Kubernetes' own, of any length. */
export const andThen = (words: string, next: string): string =>
  `${shortened(sentence(words), longestStatusMessage - next.length - 1)} ${next}`

/** How soon a start is looked at again: only events, which are not watched, say what keeps a Pod from being made. */
export const lookAgainMillis = 5_000
