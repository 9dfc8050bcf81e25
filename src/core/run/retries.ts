// What was disrupted through no fault of its own: how often it is tried again, after how long, and which plans are.
// Invariant: the tries are bounded, and so is the delay before each; a stage that may have changed something is never made again.
// Used for launches before the claim, for plans of runs and of attempts, for the stages of the pool that wait to be offered, and by worker/stage/retried.
import { Option } from "effect"
import type { Stage } from "../../schema/task/agent-task.ts"
import type { ToldResult } from "../../schema/task/stage-result.ts"

/** How often something that was disrupted is made again, at most. */
export const mostRetries = 3

/** Reports whether the reason is that the Pod or its node had to go. */
export const hadToGo = (reason: string | undefined): boolean => reason === "Evicted" || reason === "NodeLost"

/** Returns the delay before a retry: 5, 20 and then 80 seconds. */
export const retryDelayMillis = (retry: number): number => 5_000 * 4 ** (Math.min(retry, mostRetries) - 1)

/** Reports whether a stage failed through no fault of its own, or for an unknown reason. */
const isDisruption = (reason: string): boolean => hadToGo(reason) || reason === "SourceUnreachable" || reason === "Lost"

/** Returns the delay before another try of what was tried again `times` times already, or none once that is as often as it may be. */
export const nextDelayMillis = (times: number): Option.Option<number> =>
  times < mostRetries ? Option.some(retryDelayMillis(times + 1)) : Option.none()

/** Returns how long to wait before a stage is planned again that was made again `times` times already, or none if it is not. */
export const planAgainAfterMillis = (
  stage: Stage,
  { outcome, reason }: Pick<ToldResult, "outcome" | "reason">,
  times: number
): Option.Option<number> => stage === "plan" && outcome === "failed" && isDisruption(reason) ? nextDelayMillis(times) : Option.none()
