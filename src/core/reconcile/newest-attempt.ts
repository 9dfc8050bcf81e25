// The newest attempt of a task that follows its source: which it is, what it ran, when it is to be made again, and when it is in doubt.
// Invariant: none of it depends on the source as it is now. Attempts are made one after another.
// Used by core/reconcile/follow, core/reconcile/plan-to-apply and cli/cluster/tasks.
import { Array, Option } from "effect"
import type { Sha256 } from "../../schema/names.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import { touches } from "../../schema/task/stage-result.ts"
import { nextDelayMillis, planAgainAfterMillis } from "../run/retries.ts"
import { leftInDoubt } from "../state/end-in-doubt.ts"
import type { Observed, Seen } from "../task/observed.ts"
import { isOver, isRevoked } from "../task/status.ts"
import { millisSinceEnd } from "./situation.ts"

/** Returns the newest attempt: the task itself until it has made another, or none if the newest was deleted. */
export const newest = ({ latest, task }: Observed): Option.Option<AgentTask> =>
  task.status.latest === undefined ? Option.some(task) : latest

/** Returns what the task made and is not over: an attempt or an apply, but never both, since an apply begins once its plan is over. */
export const unfinished = ({ latest, latestApply }: Observed): Option.Option<AgentTask> =>
  Array.findFirst(Array.getSomes([latestApply, latest]), ({ status }) => !isOver(status.phase))

/** Returns the newest apply if it may have made what its state lacks: a further plan would make that once more. */
export const inDoubt = ({ latestApply }: Pick<Observed, "latestApply">): Option.Option<AgentTask> => Option.filter(latestApply, leftInDoubt)

/** Returns the digest of the artifact that the newest attempt ran, or was made for. */
export const tried = (observed: Observed): Sha256 | undefined =>
  Option.getOrUndefined(newest(observed))?.status.source?.sha256 ?? observed.task.status.latest?.sha256

/** Returns the task that the conditions speak of: the newest attempt, or its apply once one was made. None if that task was deleted. */
export const spokenOf = (observed: Observed): Option.Option<AgentTask> =>
  observed.task.status.latest?.apply === undefined ? newest(observed) : observed.latestApply

/**
 * Returns how many milliseconds after the end of this attempt, or of this apply of one, an attempt is made again that was made again `again`
 * times, or none if it is not. It is where it was disrupted, and where its apply changed nothing, since the state or something else is no
 * longer what it was planned with.
 */
export const againAfterMillis = (
  { spec: { stage }, status: { phase, reason, result } }: AgentTask,
  again: number
): Option.Option<number> =>
  phase !== "Failed" || reason === undefined
    ? Option.none()
    : stage === "apply" && reason === "DigestMismatch"
    ? result?.changes !== undefined && touches(result.changes) ? Option.none() : nextDelayMillis(again)
    : planAgainAfterMillis(stage, { outcome: "failed", reason }, again)

/** Returns in how many milliseconds the newest attempt is to be made again, or none if it is not, or if somebody called it or its apply off. */
export const againInMillis = (s: Seen): Option.Option<number> =>
  Option.flatMap(
    Option.filter(spokenOf(s), (of) => !isRevoked(of) && Option.exists(newest(s), (attempt) => !isRevoked(attempt))),
    (of) =>
      Option.map(againAfterMillis(of, s.task.status.latest?.again ?? 0), (delay) => {
        const left = delay - millisSinceEnd(of, s.now)
        return left > delay ? 0 : left // its end is by its node's clock, which may be ahead
      })
  )
