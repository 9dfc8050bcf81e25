// The responses to a task that is over: its result is reported, its object let go or deleted, and else it stays as it is.
// Invariant: phase, reason and result stay.
// Used by core/reconcile/plan and core/reconcile/follow.
import { acknowledged } from "../task/status.ts"
import { resultOf } from "../task/task-result.ts"
import { Action } from "./action.ts"
import { isInterim, ownAgain } from "./attempt-conditions.ts"
import { later, noticesOfDeletion, type Respond, type RespondTo, unchanged } from "./response.ts"
import { jobGoesOn, leftoverPatienceMillis } from "./situation.ts"

const stay: Respond = (s) => {
  const { task } = s
  const kept = {
    ...unchanged(s),
    status: isInterim(task.status) ? ownAgain(task, s.now) : acknowledged(task.status, task.metadata.generation)
  }
  return jobGoesOn(s) ? later(kept, leftoverPatienceMillis - s.overMillis) : kept
}

/** How soon the API server is asked again to delete a Job that nobody needs. */
const deleteAgainMillis = 60_000

/** Keeps the task as it is. That its Job may not be deleted is told. */
export const keep: Respond = (s) => {
  const notices = noticesOfDeletion(s)
  return notices.length > 0 ? later({ ...stay(s), notices }, deleteAgainMillis) : stay(s)
}

export const report: RespondTo<string> = (s, assignment) => {
  const { status } = s.task
  return {
    ...unchanged(s, [Action.ReportResult({ assignment, result: resultOf(status, s.now) })]),
    status: { ...status, reportedAt: s.now }
  }
}

export const release: Respond = (s) => unchanged(s, [Action.Release()])
export const deleteTask: Respond = (s) => unchanged(s, [Action.DeleteTask()])
