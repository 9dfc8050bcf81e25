// The plan that a task which follows its source is to apply, and the spec of its apply.
// Invariant: it applies that very plan, in its directory; one whose changes could not be counted only soon after its end.
// Used by core/reconcile/follow and cli/cluster/tasks.
import { Option } from "effect"
import type { AgentTask, AgentTaskSpec } from "../../schema/task/agent-task.ts"
import { planToApply } from "../../schema/task/stage-result.ts"
import type { Observed } from "../task/observed.ts"
import { newest } from "./newest-attempt.ts"
import { millisSinceEnd } from "./situation.ts"

/** An attempt whose plan is to be applied, and the spec of its apply. */
export interface Wanted {
  readonly plan: AgentTask
  readonly spec: AgentTaskSpec
}

/** Returns the newest attempt, if it saved a plan with changes that the task is to apply and that has no apply yet. */
export const notApplied = (observed: Observed): Option.Option<Wanted> =>
  observed.task.spec.source.fluxSource?.onChange === "planAndApply" && observed.task.status.latest?.apply === undefined
    ? Option.flatMap(newest(observed), (plan) => Option.map(applySpec(plan), (spec) => ({ plan, spec })))
    : Option.none()

/**
 * How long after its end a plan whose changes could not be counted is applied. Followers of versions that applied none have old ones, which
 * nobody expects to be applied any more.
 */
const uncountedMillis = 3_600_000

export const isOutdated = ({ plan }: Wanted, now: string): boolean =>
  plan.status.result?.hasChanges === undefined && millisSinceEnd(plan, now) > uncountedMillis

/** Returns the spec that applies a task's saved plan in the same directory, or none if there is no such plan with changes. */
export const applySpec = (
  { spec: { cancel: _cancel, options: _options, savePlan, source, workingDirectory, ...spec }, status: { result } }: AgentTask
): Option.Option<AgentTaskSpec> => {
  const sha256 = result && planToApply(result)
  if (savePlan === undefined || sha256 === undefined) return Option.none()
  const directory = [source.fluxSource?.path, workingDirectory].filter((path) => path !== undefined && path !== "").join("/")
  return Option.some({
    ...spec,
    stage: "apply",
    source: { savedPlan: { claimName: savePlan.claimName, sha256 } },
    ...(directory !== "" && { workingDirectory: directory })
  })
}
