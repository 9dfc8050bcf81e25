import { describe, expect, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { mostRetries, planAgainAfterMillis } from "../../../src/core/run/retries.ts"
import { Stage } from "../../../src/schema/task/agent-task.ts"
import { Reason } from "../../../src/schema/task/reason.ts"

const Times = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))
const Outcome = Schema.Literals(["succeeded", "failed", "cancelled"])
const ofPlan = (reason: Reason, times: number) => Option.getOrUndefined(planAgainAfterMillis("plan", { outcome: "failed", reason }, times))

describe("a plan", () => {
  it.each(["Evicted", "NodeLost", "Lost", "SourceUnreachable"] as const)(
    "that ended as %s is planned again after 5, 20 and 80 seconds, and no more",
    (reason) => expect([0, 1, 2, 3, 4].map((times) => ofPlan(reason, times))).toEqual([5_000, 20_000, 80_000, undefined, undefined])
  )

  it.each(["ExitCode", "OutOfMemory", "DeadlineExceeded", "InvalidConfiguration", "ImagePull", "StateNotSaved"] as const)(
    "that ended as %s would end so again, and is left",
    (reason) => expect(ofPlan(reason, 0)).toBeUndefined()
  )

  it.prop(
    "is planned again a bounded number of times, and after its failure alone",
    [Stage, Outcome, Reason, Times],
    ([stage, outcome, reason, times]) =>
      Option.isNone(planAgainAfterMillis(stage, { outcome, reason }, times)) ||
      (stage === "plan" && outcome === "failed" && times < mostRetries)
  )
})

describe("an apply or destroy", () => {
  it.prop(
    "is never repeated, whatever became of it",
    [Schema.Literals(["apply", "destroy"]), Outcome, Reason, Times],
    ([stage, outcome, reason, times]) => Option.isNone(planAgainAfterMillis(stage, { outcome, reason }, times))
  )
})
