import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { isFinal, Move, move, rows, RunEvent, type RunState, wishes } from "../../../src/core/run/run-machine.ts"
import { RunStatus } from "../../../src/schema/api/run.ts"
import { Sha256 } from "../../../src/schema/names.ts"

const { Applied, Cancel, Confirm, Discard, Disrupted, Failed, Planned, Started, Stopped } = RunEvent
const [seal, otherSeal] = [Sha256.make("a".repeat(64)), Sha256.make("b".repeat(64))]
const fresh: RunState = {
  status: "pending",
  planOnly: false,
  autoApply: false,
  allowEmptyApply: false,
  saved: false,
  cancelAsked: false,
  planSha256: null
}
const at = (status: RunStatus, more: Partial<RunState> = {}): RunState => ({ ...fresh, status, ...more })
const to = (status: RunStatus, cancelAsked = false) => Move.Moved({ status, cancelAsked })
const stays = Move.Unchanged()

const after = (run: RunState, event: RunEvent): RunState => {
  const next = move(run, event)
  return next._tag === "Moved" ? { ...run, status: next.status, cancelAsked: next.cancelAsked } : run
}
const fold = (run: RunState, events: ReadonlyArray<RunEvent>): RunState => events.reduce(after, run)

const step = Schema.Literals(["plan", "apply"])
const AnySeal = Schema.Literals([seal, otherSeal])
const AnyEvent = Schema.Union([
  Schema.TaggedStruct("Started", { step }),
  Schema.TaggedStruct("Failed", { step }),
  Schema.TaggedStruct("Stopped", { step }),
  Schema.TaggedStruct("Planned", { hasChanges: Schema.Boolean, asks: Schema.optionalKey(Schema.Boolean) }),
  Schema.TaggedStruct("Applied", {}),
  Schema.TaggedStruct("Disrupted", {}),
  Schema.TaggedStruct("Confirm", { seal: Schema.optionalKey(AnySeal) }),
  Schema.TaggedStruct("Discard", {}),
  Schema.TaggedStruct("Cancel", {})
])
const AnyRun = Schema.Struct({
  status: RunStatus,
  planOnly: Schema.Boolean,
  autoApply: Schema.Boolean,
  allowEmptyApply: Schema.Boolean,
  saved: Schema.Boolean,
  cancelAsked: Schema.Boolean,
  planSha256: Schema.NullOr(AnySeal)
})
const Events = Schema.Array(AnyEvent)
const Asked = Schema.Struct({ planOnly: Schema.Boolean, autoApply: Schema.Boolean, allowEmptyApply: Schema.Boolean })

describe("a run", () => {
  it.each([
    { given: "is planning once an agent has the plan", run: fresh, event: Started({ step: "plan" }), expected: to("planning") },
    { given: "is planned when it waits for a person", run: at("planning"), event: Planned({ hasChanges: true }), expected: to("planned") },
    {
      given: "takes a plan's result whose start was never noticed",
      run: fresh,
      event: Planned({ hasChanges: true }),
      expected: to("planned")
    },
    {
      given: "ends with its plan when there is nothing to change",
      run: at("planning", { autoApply: true }),
      event: Planned({ hasChanges: false }),
      expected: to("planned_and_finished")
    },
    {
      given: "waits for a person when there is nothing to change, and an empty plan may be applied",
      run: at("planning", { allowEmptyApply: true }),
      event: Planned({ hasChanges: false }),
      expected: to("planned")
    },
    {
      given: "goes on by itself with auto-apply when there is nothing to change, and an empty plan may be applied",
      run: at("planning", { allowEmptyApply: true, autoApply: true }),
      event: Planned({ hasChanges: false }),
      expected: to("confirmed")
    },
    {
      given: "ends with its plan when only a plan was asked for",
      run: at("planning", { planOnly: true, autoApply: true }),
      event: Planned({ hasChanges: true }),
      expected: to("planned_and_finished")
    },
    {
      given: "ends with its empty plan when only a plan was asked for",
      run: at("planning", { planOnly: true, allowEmptyApply: true }),
      event: Planned({ hasChanges: false }),
      expected: to("planned_and_finished")
    },
    {
      given: "goes on by itself with auto-apply",
      run: at("planning", { autoApply: true }),
      event: Planned({ hasChanges: true }),
      expected: to("confirmed")
    },
    {
      given: "waits for a person with auto-apply too, when its plan asks for one",
      run: at("planning", { autoApply: true }),
      event: Planned({ hasChanges: true, asks: true }),
      expected: to("planned")
    },
    {
      given: "is canceled when its plan succeeds after the cancel",
      run: at("planning", { autoApply: true, cancelAsked: true }),
      event: Planned({ hasChanges: true }),
      expected: to("canceled", true)
    },
    { given: "is confirmed by a person", run: at("planned"), event: Confirm({}), expected: to("confirmed") },
    {
      given: "is confirmed by a person who names its plan",
      run: at("planned", { planSha256: seal }),
      event: Confirm({ seal }),
      expected: to("confirmed")
    },
    {
      given: "is not confirmed by a person who saw another plan",
      run: at("planned", { planSha256: seal }),
      event: Confirm({ seal: otherSeal }),
      expected: Move.Refused({
        error: "other-seal",
        message: `has the plan with the seal ${seal}, which is not the one that was approved; look at it again.`
      })
    },
    {
      given: "is not applying before an agent has the apply, whatever is said of its plan",
      run: at("confirmed"),
      event: Started({ step: "plan" }),
      expected: stays
    },
    { given: "is applying once an agent has the apply", run: at("confirmed"), event: Started({ step: "apply" }), expected: to("applying") },
    {
      given: "is not applying before its plan is made, whatever is said of its apply",
      run: fresh,
      event: Started({ step: "apply" }),
      expected: stays
    },
    { given: "is applied", run: at("applying"), event: Applied(), expected: to("applied") },
    {
      given: "is applied though a cancel was asked for, since that is what happened",
      run: at("applying", { cancelAsked: true }),
      event: Applied(),
      expected: to("applied", true)
    },
    { given: "is errored by a failed plan", run: at("planning"), event: Failed({ step: "plan" }), expected: to("errored") },
    { given: "is errored by a failed apply", run: at("applying"), event: Failed({ step: "apply" }), expected: to("errored") },
    {
      given: "is canceled when its stage was stopped",
      run: at("applying", { cancelAsked: true }),
      event: Stopped({ step: "apply" }),
      expected: to("canceled", true)
    },
    { given: "waits for its next plan when one was disrupted", run: at("planning"), event: Disrupted(), expected: to("pending") },
    { given: "still waits when a plan was disrupted whose start was never noticed", run: fresh, event: Disrupted(), expected: stays },
    {
      given: "is canceled when its plan was disrupted after the cancel",
      run: at("planning", { cancelAsked: true }),
      event: Disrupted(),
      expected: to("canceled", true)
    },
    { given: "is applying still, whatever is said of a disrupted plan", run: at("applying"), event: Disrupted(), expected: stays },
    {
      given: "is applying still, whatever is said of a disrupted plan, though it is to be cancelled",
      run: at("applying", { cancelAsked: true }),
      event: Disrupted(),
      expected: stays
    },
    { given: "is canceled at once while pending", run: fresh, event: Cancel(), expected: to("canceled") },
    { given: "is discarded by a cancel while planned", run: at("planned"), event: Cancel(), expected: to("discarded") },
    {
      given:
        "is canceled at once while its saved plan waits, since a stock client that waits without a prompt takes discarded for a success",
      run: at("planned", { saved: true }),
      event: Cancel(),
      expected: to("canceled")
    },
    { given: "is discarded still when it is cancelled again", run: at("discarded"), event: Cancel(), expected: stays },
    { given: "only asks for the cancel while an agent plans", run: at("planning"), event: Cancel(), expected: to("planning", true) },
    { given: "only asks for the cancel while an agent applies", run: at("applying"), event: Cancel(), expected: to("applying", true) },
    { given: "is discarded while planned", run: at("planned"), event: Discard(), expected: to("discarded") },
    { given: "takes a second confirmation as the first", run: at("applying"), event: Confirm({}), expected: stays },
    { given: "takes a second cancel as the first", run: at("planning", { cancelAsked: true }), event: Cancel(), expected: stays },
    { given: "takes no late word of the plan while it applies", run: at("applying"), event: Failed({ step: "plan" }), expected: stays },
    {
      given: "takes no second result of the plan while it applies",
      run: at("applying"),
      event: Planned({ hasChanges: false }),
      expected: stays
    },
    {
      given: "takes no late stop of the plan once it is confirmed",
      run: at("confirmed"),
      event: Stopped({ step: "plan" }),
      expected: stays
    },
    { given: "takes no word of an apply that was not confirmed", run: at("planned"), event: Applied(), expected: stays }
  ])("$given", ({ event, expected, run }) => expect(move(run, event)).toEqual(expected))

  it.each([
    { run: at("pending"), event: Confirm({}), message: "is pending and cannot be applied; look at its plan once it is there." },
    {
      run: at("discarded"),
      event: Confirm({}),
      message: "is discarded and cannot be applied; start another with: agent-job run DIR"
    },
    { run: at("confirmed"), event: Discard(), message: "is confirmed and cannot be discarded; cancel it instead." },
    { run: at("applying"), event: Discard(), message: "is applying and cannot be discarded; cancel it instead." },
    {
      run: at("planned_and_finished"),
      event: Confirm({}),
      message: "is planned and finished and cannot be applied; start another with: agent-job run DIR"
    },
    { run: at("applied"), event: Cancel(), message: "is applied and cannot be cancelled; start another with: agent-job run DIR" }
  ])(
    "refuses a wish at the wrong moment: $message",
    ({ event, message, run }) => expect(move(run, event)).toEqual(Move.Refused({ error: "wrong-moment", message }))
  )

  it.prop(
    "is never confirmed by the seal of another plan",
    [AnyRun],
    ([run]) =>
      run.planSha256 !== seal ||
      (move(run, Confirm({ seal: otherSeal }))._tag === "Refused" && move(run, Confirm({ seal }))._tag === move(run, Confirm({}))._tag)
  )

  it.prop(
    "stays as it is once it is over, whatever comes",
    [AnyRun, Events],
    ([run, events]) => !isFinal(run.status) || fold(run, events).status === run.status
  )

  it.prop("takes every event twice as once", [AnyRun, AnyEvent], ([run, event]) => {
    const once = after(run, event)
    return JSON.stringify(after(once, event)) === JSON.stringify(once) &&
      (move(run, event)._tag !== "Moved" || move(once, event)._tag === "Unchanged")
  })

  it.prop(
    "ends the same when each event of its life is repeated",
    [Asked, Events],
    ([asked, events]) =>
      JSON.stringify(fold({ ...fresh, ...asked }, events)) ===
        JSON.stringify(fold({ ...fresh, ...asked }, events.flatMap((event) => [event, event])))
  )

  it.prop(
    "never applies unless a person or auto-apply said so, and never when only a plan was asked for",
    [Asked, Events],
    ([asked, events]) => {
      const end = fold({ ...fresh, ...asked }, events)
      const applies = ["confirmed", "applying", "applied"].includes(end.status)
      return !applies || (!asked.planOnly && (asked.autoApply || events.some(({ _tag }) => _tag === "Confirm")))
    }
  )

  it.prop("only goes forward, but from a plan that was disrupted to the next one", [AnyRun, AnyEvent], ([run, event]) => {
    const order: ReadonlyArray<RunStatus> = ["pending", "planning", "planned", "confirmed", "applying"]
    const rank = (status: RunStatus) => isFinal(status) ? order.length : order.indexOf(status)
    const next = after(run, event).status
    return rank(next) >= rank(run.status) || (event._tag === "Disrupted" && run.status === "planning" && next === "pending")
  })

  it.prop("grants every wish that it offers, and confirms and discards only where it offers that", [AnyRun], ([run]) => {
    const offered = wishes(run)
    return offered.confirm === (move(run, Confirm({}))._tag === "Moved") && offered.discard === (move(run, Discard())._tag === "Moved") &&
      (!offered.cancel || move(run, Cancel())._tag === "Moved")
  })

  it.prop("can be ended by force only once it was asked to stop, and never when it is over", [Asked, Events], ([asked, events]) => {
    const end = fold({ ...fresh, ...asked }, events)
    return wishes(end).forceCancel ===
      (events.some(({ _tag }) => _tag === "Cancel") && end.cancelAsked && ["planning", "applying"].includes(end.status))
  })

  it("has no row that another hides altogether", () => {
    const runs: ReadonlyArray<RunState> = RunStatus.literals.flatMap((status) =>
      [true, false].flatMap((planOnly) =>
        [true, false].flatMap((autoApply) =>
          [true, false].map((cancelAsked) => ({ ...fresh, status, planOnly, autoApply, cancelAsked, planSha256: seal }))
        )
      )
    )
    const events = [
      Started({ step: "plan" }),
      Started({ step: "apply" }),
      Failed({ step: "plan" }),
      Failed({ step: "apply" }),
      Stopped({ step: "plan" }),
      Stopped({ step: "apply" }),
      Planned({ hasChanges: true }),
      Planned({ hasChanges: false }),
      Applied(),
      Disrupted(),
      Confirm({}),
      Confirm({ seal: otherSeal }),
      Discard(),
      Cancel()
    ]
    const used = new Set(runs.flatMap((run) => events.map((event) => rows.find(({ holds }) => holds(run, event))?.situation)))
    expect(rows.filter(({ situation }) => !used.has(situation))).toEqual([])
  })
})
