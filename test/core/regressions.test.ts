// Mistakes that controllers of this kind have made elsewhere: each title says what happened, each test that it does not happen here.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { plan } from "../../src/core/reconcile/plan.ts"
import { move, RunEvent, type RunState } from "../../src/core/run/run-machine.ts"
import { isOver } from "../../src/core/task/status.ts"
import { RunStatus } from "../../src/schema/api/run.ts"
import { noon, policyOf, type Seed, seeds, worldOf } from "./worlds.ts"

const actionsOf = (seed: Seed) => plan(policyOf(seed), worldOf(seed), noon).actions
const makes = (seed: Seed, ...tags: ReadonlyArray<string>): boolean => actionsOf(seed).some(({ _tag }) => tags.includes(_tag))

const finals = ["succeeded", "failed", "cancelled", "lost"] as const

describe("here not:", () => {
  it.prop("a copy of a finished task in a cache, hours old, had its Pod made again", [seeds], ([seed]) => {
    for (const life of finals) {
      const finished = { ...seed, life, follows: "no" } as const
      expect(isOver(worldOf(finished).task.status.phase)).toBe(true)
      expect(makes(finished, "CreateJob", "CreateTask", "TakeWorkspace")).toBe(false)
    }
  })

  it.prop("a retry's Pod was made while the first one still lived", [seeds], ([seed]) => {
    const alive = { ...seed, life: "claimed", pod: "Running", worker: "running", runner: "running", lastWords: false } as const
    expect(makes(alive, "CreateJob", "CreateTask", "TakeWorkspace")).toBe(false)
    const silent = { ...alive, pod: "silent" } as const // a Pod that has not been seen for hours is not dead
    expect(makes(silent, "CreateJob", "CreateTask", "TakeWorkspace")).toBe(false)
    if (Option.isSome(worldOf(seed).job)) expect(makes(seed, "CreateJob")).toBe(false)
  })

  it.prop("the next attempt was made before there was evidence of the last one's end", [seeds], ([seed]) => {
    const waits = { ...seed, latest: "alive" } as const
    if (waits.source !== "none") expect(makes(waits, "CreateTask")).toBe(false)
    if (!isOver(worldOf(seed).task.status.phase)) expect(makes(seed, "CreateTask")).toBe(false)
  })

  it.prop("a task that failed was brought back by a child that recovered, or the other way round", [seeds], ([seed]) => {
    for (const life of finals) {
      const over = worldOf({ ...seed, life })
      const { phase, reason, result } = plan(policyOf(seed), over, noon).status
      expect({ phase, reason, result }).toEqual({
        phase: over.task.status.phase,
        reason: over.task.status.reason,
        result: over.task.status.result
      })
    }
  })

  it("a run went from cancelled to allocated: there is no way from one status to another but these", () => {
    const bits = [true, false]
    const runs = RunStatus.literals.flatMap((status) =>
      bits.flatMap((planOnly) =>
        bits.flatMap((autoApply) =>
          bits.flatMap((cancelAsked) =>
            bits.flatMap((allowEmptyApply) =>
              bits.map((saved): RunState => ({ status, planOnly, autoApply, allowEmptyApply, saved, cancelAsked, planSha256: null }))
            )
          )
        )
      )
    )
    const { Applied, Cancel, Confirm, Discard, Disrupted, Failed, Planned, Started, Stopped } = RunEvent
    const steps = (["plan", "apply"] as const).flatMap((step) => [Started({ step }), Failed({ step }), Stopped({ step })])
    const events = [
      ...steps,
      Planned({ hasChanges: true }),
      Planned({ hasChanges: false }),
      Applied(),
      Disrupted(),
      Confirm({}),
      Discard(),
      Cancel()
    ]
    const ways = runs.flatMap((run) => events.map((event) => ({ run, next: move(run, event) })))
    const taken = ways.flatMap(({ next, run }) =>
      next._tag === "Moved" && next.status !== run.status ? [[run.status, next.status] as const] : []
    )
    const to = Object.fromEntries(
      RunStatus.literals.map((from) => [from, [...new Set(taken.filter(([status]) => status === from).map(([, status]) => status))].sort()])
    )
    expect(to).toEqual({
      pending: ["canceled", "confirmed", "discarded", "errored", "planned", "planned_and_finished", "planning"],
      planning: ["canceled", "confirmed", "errored", "pending", "planned", "planned_and_finished"],
      planned: ["canceled", "confirmed", "discarded"],
      confirmed: ["applied", "applying", "canceled", "errored"],
      applying: ["applied", "canceled", "errored"],
      applied: [],
      planned_and_finished: [],
      errored: [],
      canceled: [],
      discarded: []
    })
  })
})
