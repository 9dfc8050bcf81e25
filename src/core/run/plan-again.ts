// Which disrupted plans are made again, and after how long. Making one again changes nothing.
// Invariant: a stage that may have changed something is never made again, and neither is a plan that failed by itself.
// Used by server/run/stage-ends, and by core/reconcile/newest-attempt for attempts.
import { Option } from "effect"
import type { Stage } from "../../schema/task/agent-task.ts"
import type { ToldResult } from "../../schema/task/stage-result.ts"
import { hadToGo, mostRetries, retryDelayMillis } from "./disruption.ts"

/** Reports whether a stage failed through no fault of its own, or for an unknown reason. */
const isDisruption = (reason: string): boolean => hadToGo(reason) || reason === "SourceUnreachable" || reason === "Lost"

/** Returns how long to wait before a stage is planned again that was made again `times` times already, or none if it is not. */
export const planAgainAfterMillis = (
  stage: Stage,
  { outcome, reason }: Pick<ToldResult, "outcome" | "reason">,
  times: number
): Option.Option<number> =>
  stage === "plan" && outcome === "failed" && isDisruption(reason) && times < mostRetries
    ? Option.some(retryDelayMillis(times + 1))
    : Option.none()
