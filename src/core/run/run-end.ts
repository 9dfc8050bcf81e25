// What the end of a stage means for its run: an event of core/run/run-machine, and what the stage found out.
// Invariant: a plan that may be applied goes on only if the plan it saved is the one that is stored.
// Used by server/run/stage-ends.
import type { Changes, ToldResult } from "../../schema/task/stage-result.ts"
import { RunEvent, type RunState, type Step } from "./run-machine.ts"

interface RunEnd {
  readonly event: RunEvent
  readonly hasChanges?: boolean
  readonly changes?: Changes
  /** Why the run fails, in sentences. */
  readonly failure?: string
}

interface Planned extends Pick<RunState, "planOnly" | "allowEmptyApply" | "planSha256"> {
  /** Whether who asked for the run knows that its plan may wait for a person, though it applies by itself. */
  readonly mayAsk: boolean
}

const isItsPlan = ({ planSha256 }: Planned, { planDigest }: ToldResult): boolean =>
  planSha256 !== null && (planDigest ?? planSha256) === planSha256

/**
 * Returns what the end of a successful plan means. Without a word on changes or their numbers, it is taken to change something, so that a
 * person looks at it. What may exist already, in a state that another backend has, is not made before a person says so.
 */
const planned = (run: Planned, result: ToldResult): RunEnd => {
  const { changes } = result
  const hasChanges = result.hasChanges ?? (changes === undefined || changes.add + changes.change + changes.destroy > 0)
  const facts = { hasChanges, ...(changes !== undefined && { changes }) }
  const event = RunEvent.Planned({ hasChanges, ...(run.mayAsk && result.unusedBackend !== undefined && { asks: true }) })
  const mayBeApplied = !run.planOnly && (hasChanges || run.allowEmptyApply)
  if (!mayBeApplied || isItsPlan(run, result)) return { ...facts, event }
  const failure = "The plan succeeded, but its saved plan is not the one stored here, so it cannot be applied; start the run again."
  return { ...facts, event: RunEvent.Failed({ step: "plan" }), failure }
}

/** Returns what the end of a stage means for its run. `doubted` is what the message of a failure adds about the state. */
export const runEnd = (step: Step, run: Planned, result: ToldResult, doubted: string): RunEnd => {
  switch (result.outcome) {
    case "cancelled":
      return { event: RunEvent.Stopped({ step }) }
    case "failed":
      return { event: RunEvent.Failed({ step }), failure: result.message + doubted }
    case "succeeded":
      return step === "plan" ? planned(run, result) : { event: RunEvent.Applied() }
  }
}
