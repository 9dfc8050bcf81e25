import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { doubtOf, rows, type StageEnd } from "../../../src/core/run/state-doubt.ts"
import { Stage } from "../../../src/schema/task/agent-task.ts"
import { Reason } from "../../../src/schema/task/reason.ts"

const apply: StageEnd = {
  stage: "apply",
  result: { outcome: "failed", reason: "ExitCode", message: "" },
  lock: "none",
  unsavedEffects: false,
  refusedState: false,
  confirmedElsewhere: false
}
const ended = (reason: Reason, more: Partial<StageEnd> = {}, result: Partial<StageEnd["result"]> = {}): StageEnd => ({
  ...apply,
  ...more,
  result: { ...apply.result, reason, ...result }
})

const AnyEnd = Schema.Struct({
  stage: Stage,
  result: Schema.Struct({
    outcome: Schema.Literals(["succeeded", "failed", "cancelled"]),
    reason: Reason,
    message: Schema.String,
    statePushed: Schema.optionalKey(Schema.Boolean)
  }),
  lock: Schema.Literals(["none", "held", "broken"]),
  unsavedEffects: Schema.Boolean,
  refusedState: Schema.Boolean,
  confirmedElsewhere: Schema.Boolean
})

describe("the end of a stage", () => {
  it.each([
    { given: "a plan, whatever became of it", end: ended("Lost", { stage: "plan", lock: "held" }), doubted: false },
    { given: "an apply that succeeded", end: ended("Completed", {}, { outcome: "succeeded", statePushed: true }), doubted: false },
    {
      given: "an apply that succeeded, whose lock could not be given back",
      end: ended("Completed", { lock: "held" }, { outcome: "succeeded", statePushed: true }),
      doubted: false
    },
    {
      given: "an apply that succeeded and wrote no state, as nothing was to be changed",
      end: ended("Completed", {}, { outcome: "succeeded" }),
      doubted: false
    },
    {
      given: "an apply that succeeded, of whose run a restored server has no state",
      end: ended("Completed", { confirmedElsewhere: true }, { outcome: "succeeded", statePushed: true }),
      doubted: true
    },
    {
      given: "a cancelled destroy, of whose run a restored server has no state",
      end: ended("Cancelled", { stage: "destroy", confirmedElsewhere: true }, { outcome: "cancelled", statePushed: true }),
      doubted: true
    },
    { given: "an apply that failed in order, its state pushed", end: ended("ExitCode", {}, { statePushed: true }), doubted: false },
    { given: "an apply that failed before it changed anything", end: ended("InvalidConfiguration"), doubted: false },
    { given: "an apply that never started", end: ended("ImagePull"), doubted: false },
    { given: "an apply whose node was lost before it locked the state", end: ended("NodeLost"), doubted: false },
    {
      given: "an apply that was interrupted in order, its state pushed",
      end: ended("Cancelled", {}, { outcome: "cancelled", statePushed: true }),
      doubted: false
    },
    { given: "an apply whose state could not be saved", end: ended("StateNotSaved", {}, { statePushed: false }), doubted: true },
    {
      given: "a cancelled destroy whose state could not be saved",
      end: ended("Cancelled", { stage: "destroy" }, { outcome: "cancelled", statePushed: false }),
      doubted: true
    },
    { given: "an apply that was lost with the lock", end: ended("Lost", { lock: "held" }), doubted: true },
    { given: "an apply whose node was lost with the lock", end: ended("NodeLost", { lock: "held" }), doubted: true },
    { given: "an apply that was evicted with the lock", end: ended("Evicted", { lock: "held" }), doubted: true },
    {
      given: "an engine that was killed for its memory after an earlier push",
      end: ended("OutOfMemory", { lock: "held" }, { statePushed: true }),
      doubted: true
    },
    { given: "an apply whose lock was taken from it, and that was lost then", end: ended("Lost", { lock: "broken" }), doubted: true },
    {
      given: "an apply whose lock was taken from it after its last push",
      end: ended("ExitCode", { lock: "broken" }, { statePushed: true }),
      doubted: false
    },
    {
      given: "an apply that gave its lock back, and made what the state does not have",
      end: ended("OutOfMemory", { unsavedEffects: true }, { statePushed: true }),
      doubted: true
    },
    { given: "an apply whose state was refused", end: ended("Lost", { refusedState: true }), doubted: true },
    {
      given: "an apply whose state was refused, and a later one taken",
      end: ended("ExitCode", { refusedState: true }, { statePushed: true }),
      doubted: false
    }
  ])("$given: in doubt is $doubted", ({ doubted, end }) => expect(doubtOf(end) !== undefined).toBe(doubted))

  it.prop(
    "leaves no doubt after a plan, after success whose state is here, or without lock, journal, refusal and word of the worker",
    [AnyEnd],
    ([end]) => {
      const unsaved = end.result.statePushed === false || end.result.reason === "StateNotSaved"
      if (end.stage === "plan") expect(doubtOf(end)).toBeUndefined()
      else if (unsaved || end.confirmedElsewhere) expect(doubtOf(end)).toBeDefined()
      else if (end.result.outcome === "succeeded" || (end.lock === "none" && !end.refusedState && !end.unsavedEffects)) {
        expect(
          doubtOf(end)
        ).toBeUndefined()
      } else if (end.lock === "held" || end.unsavedEffects) expect(doubtOf(end)).toBeDefined()
    }
  )

  it.prop("always finds a row", [AnyEnd], ([end]) => expect(rows.some(({ holds }) => holds(end))).toBe(true))
})
