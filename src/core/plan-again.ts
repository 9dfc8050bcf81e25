// How often a disrupted plan is made again, and after how long. Making it again changes nothing.
// Invariant: a stage that may have changed something is never made again, and neither is a plan that failed by itself.
// Used by server/assignments, server/stage-ends, core/follow (attempts), core/launches and core/pod-trouble (launches before the claim).
import { Option } from "effect"
import type { Stage } from "../schema/agent-task.ts"
import type { ToldResult } from "../schema/stage-result.ts"

/** How often something that was disrupted is made again, at most. */
export const mostAgain = 3

/** Reports whether the reason is that the Pod or its node had to go. */
export const hadToGo = (reason: string | undefined): boolean => reason === "Evicted" || reason === "NodeLost"

/** Reports whether a stage failed through no fault of its own, or for an unknown reason. */
const isDisruption = (reason: string): boolean => hadToGo(reason) || reason === "Lost"

/** Returns the delay from one attempt to the next: 5, 20 and then 80 seconds. */
export const delayMillis = (again: number): number => 5_000 * 4 ** (Math.min(again, mostAgain) - 1)

/** Returns how long to wait before a stage is planned again that was made again `times` times already, or none if it is not. */
export const planAgainAfterMillis = (
  stage: Stage,
  { outcome, reason }: Pick<ToldResult, "outcome" | "reason">,
  times: number
): Option.Option<number> =>
  stage === "plan" && outcome === "failed" && isDisruption(reason) && times < mostAgain
    ? Option.some(delayMillis(times + 1))
    : Option.none()
