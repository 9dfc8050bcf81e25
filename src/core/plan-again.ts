// A plan that was disrupted changes nothing by being made again; how often, and after how long, is decided here.
// Invariant: a stage that may have changed something is never made again, and neither is a plan that failed by itself.
// Used by server/assignments and server/stage-ends for runs, core/follow for attempts at a source, and core/launches and core/pod-trouble for launches before the claim.
import { Option } from "effect"
import type { Stage } from "../schema/agent-task.ts"
import type { ToldResult } from "../schema/stage-result.ts"

/** How often something that was disrupted is made once more. */
export const mostAgain = 3

/** Its Pod had to go, or its node. */
export const hadToGo = (reason: string | undefined): boolean => reason === "Evicted" || reason === "NodeLost"

/** Through no fault of the stage, or nobody knows. */
const isDisruption = (reason: string): boolean => hadToGo(reason) || reason === "Lost"

/** From one attempt to the next: 5, 20 and then 80 seconds. */
export const delayMillis = (again: number): number => 5_000 * 4 ** (Math.min(again, mostAgain) - 1)

/** How long to wait before a stage is planned again that was made again `times` times already; none when it is not. */
export const planAgainAfterMillis = (
  stage: Stage,
  { outcome, reason }: Pick<ToldResult, "outcome" | "reason">,
  times: number
): Option.Option<number> =>
  stage === "plan" && outcome === "failed" && isDisruption(reason) && times < mostAgain
    ? Option.some(delayMillis(times + 1))
    : Option.none()
