import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { success } from "../../core/worlds.ts"
import { assignment, ofAssignment, over, toldOf } from "./taking.ts"

it.effect("tells a pool that has forgotten it the result of a stage that it cancels", () =>
  Effect.gen(function*() {
    expect(yield* toldOf("a cancellation", over)).toEqual({ told: [["report", assignment.id, "task-uid", success]], cancelled: false })
    expect(yield* toldOf("a cancellation", { phase: "Queued" })).toEqual({ told: [], cancelled: true })
    expect(yield* toldOf("a cancellation", { phase: "Moonlit" })).toEqual({ told: [], cancelled: true }) // a phase of a newer version
  }))

it.effect("cancels the running stage whose task only a newer version understands, and no stranger's", () =>
  Effect.gen(function*() {
    const newer = { ...ofAssignment, engine: { name: "terragrunt" } }
    expect(yield* toldOf("a cancellation", { phase: "Running" }, newer)).toEqual({ told: [], cancelled: true })
    expect(yield* toldOf("a cancellation", over, newer)).toEqual(yield* toldOf("a cancellation", over))
    const ofAnotherRun = { ...newer, pool: { ...ofAssignment.pool, runId: "run-2" } }
    expect(yield* toldOf("a cancellation", { phase: "Running" }, ofAnotherRun)).toMatchObject({ cancelled: false })
  }))
