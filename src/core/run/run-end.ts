// What the end of a stage means for its run: an event of core/run/run-machine, and what the stage found out.
// Invariant: a plan that may be applied goes on only if the plan it saved is the one that is stored.
// Used by server/run/stage-ends.
import { type Changes, type ToldResult, touches } from "../../schema/task/stage-result.ts"
import { RunEvent, type RunState, type Step } from "./run-machine.ts"

interface RunEnd {
  readonly event: RunEvent
  readonly hasChanges?: boolean
  readonly changes?: Changes
  /** Why the run fails, or how it was cancelled where that leaves the state in doubt, in sentences. */
  readonly failure?: string
}

interface Planned extends Pick<RunState, "planOnly" | "allowEmptyApply" | "planSha256"> {
  /** Whether who asked for the run knows that its plan may wait for a person, though it applies by itself. */
  readonly mayAsk: boolean
  /** How many things a run is to import that is for a rescue. */
  readonly toImport?: number
}

const isItsPlan = ({ planSha256 }: Planned, { planDigest }: ToldResult): boolean =>
  planSha256 !== null && (planDigest ?? planSha256) === planSha256

/** Returns why a plan does not go on that does not import all that it is to import: the engines pass over such a block without a word. */
const notImported = ({ toImport = 0 }: Planned, imports: number): string | undefined =>
  imports >= toImport
    ? undefined
    : `The plan imports ${imports} of ${toImport}, and would make the rest once more: the state has something else at an address, or the configuration moves it there; take that out of the state (tofu state rm) and import again, or import by hand and then settle with --keep, as where the state has the very things by now.`

/**
 * Returns what the end of a successful plan means. Without a word on changes or their numbers, it is taken to change something, so that a
 * person looks at it. What may exist already, in a state that another backend has, is not made before a person says so.
 */
const planned = (run: Planned, result: ToldResult): RunEnd => {
  const { changes } = result
  const hasChanges = result.hasChanges ?? (changes === undefined || touches(changes))
  const facts = { hasChanges, ...(changes !== undefined && { changes }) }
  const event = RunEvent.Planned({ hasChanges, ...(run.mayAsk && result.unusedBackend !== undefined && { asks: true }) })
  const failed = (failure: string) => ({ ...facts, event: RunEvent.Failed({ step: "plan" }), failure })
  const unimported = changes && notImported(run, changes.import ?? 0)
  if (unimported !== undefined) return failed(unimported)
  const mayBeApplied = !run.planOnly && (hasChanges || run.allowEmptyApply)
  if (!mayBeApplied || isItsPlan(run, result)) return { ...facts, event }
  return failed("The plan succeeded, but its saved plan is not the one stored here, so it cannot be applied; start the run again.")
}

/** Returns what the end of a stage means for its run. `doubted` is what is added to its message where the state is in doubt, or "". */
export const runEnd = (step: Step, run: Planned, result: ToldResult, doubted: string): RunEnd => {
  switch (result.outcome) {
    case "cancelled":
      return { event: RunEvent.Stopped({ step }), ...(doubted !== "" && { failure: result.message + doubted }) }
    case "failed":
      return { event: RunEvent.Failed({ step }), failure: result.message + doubted }
    case "succeeded":
      return step === "plan" ? planned(run, result) : { event: RunEvent.Applied() }
  }
}
