// The worker of a Pod: claims its AgentTask, runs the stage, and gives the result on three roads.
// Always holds: without the claim nothing is begun; with it there is a result, whatever stops the worker in between.
// Run by the command `agent-job worker`.
import { Data, DateTime, Duration, Effect, Fiber, Option, Runtime } from "effect"
import type { StageResult } from "../schema/stage-result.ts"
import { claimTask } from "./claim.ts"
import { serveReadiness } from "./readiness.ts"
import { report } from "./report.ts"
import { Settings } from "./settings.ts"
import { runStage } from "./stage.ts"
import { Stop } from "./stop.ts"

/** The stage did not succeed; its result says why. Exit code 1. */
export class StageUnsuccessful extends Data.TaggedError("StageUnsuccessful")<{ readonly result: StageResult }> {
  override readonly [Runtime.errorExitCode] = 1
  override get message() {
    return this.result.message
  }
}

const defaultTimeout = Duration.hours(1)

const claimed = Effect.gen(function*() {
  const settings = yield* Settings
  const ready = yield* serveReadiness(settings.readyPort)
  const { task } = yield* claimTask()
  yield* ready
  const timeout = task.spec.timeoutSeconds === undefined ? defaultTimeout : Duration.seconds(task.spec.timeoutSeconds)
  const outcome = yield* Effect.provide(runStage(task), Stop.layer(timeout))
  const result: StageResult = { ...outcome, finishedAt: DateTime.formatIso(yield* DateTime.now) }
  yield* report(result, Option.none())
  if (result.outcome !== "succeeded") return yield* new StageUnsuccessful({ result })
})

/** SIGTERM interrupts the program, but a stage ends in order: it hears of the signal itself. */
const heedless = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.uninterruptible(Effect.flatMap(Effect.forkDetach(effect), Fiber.join))

/** Fails with `ClaimLost` (exit code 75) when another process has the task, and with `StageUnsuccessful` (1) when the stage did not succeed. */
export const worker = heedless(Effect.scoped(Effect.provide(claimed, Settings.layer)))
