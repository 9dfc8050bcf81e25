// The worker of a Pod: claims its AgentTask, runs the stage, and reports the result on three paths.
// Invariant: nothing of the stage begins without the claim; after the claim there is a result, whatever stops the stage.
// Run by the command `agent-job worker`.
import { Cause, Context, Data, Duration, Effect, Exit, Fiber, Layer, Option, Runtime } from "effect"
import { currentInstant } from "../../kubernetes/clock.ts"
import { type AgentTaskSpec, type Claim, defaultTimeoutSeconds } from "../../schema/task/agent-task.ts"
import type { StageResult } from "../../schema/task/stage-result.ts"
import type { Backing } from "../backing/backing.ts"
import { ownBacking } from "../backing/own-backing.ts"
import { poolBacking } from "../backing/pool-backing.ts"
import { TaskApi } from "../network/task-api.ts"
import { Settings } from "../settings.ts"
import type { StageFailed } from "../stage-failed.ts"
import { StateDelivery } from "../state/state-delivery.ts"
import { claimTask } from "../task/claim.ts"
import { serveReadiness } from "../task/readiness.ts"
import { report, reportUnclaimed, type TellPool } from "../task/report.ts"
import { Stop } from "../task/stop.ts"
import { TaskStatus } from "../task/task-status.ts"
import { runStage } from "./stage.ts"

/** The stage did not succeed; its result says why. Exit code 1. */
class StageUnsuccessful extends Data.TaggedError("StageUnsuccessful")<{ readonly result: StageResult }> {
  override readonly [Runtime.errorExitCode] = 1
  override get message() {
    return this.result.message
  }
}

const claimed = Effect.gen(function*() {
  const { readyPort, timeoutLimitSeconds } = yield* Settings
  const [ready, { claim, task }] = yield* Effect.tapError(Effect.all([serveReadiness(readyPort), claimTask()]), reportUnclaimed)
  const { metadata, spec } = task
  yield* ready
  const timeoutSeconds = spec.timeoutSeconds ?? defaultTimeoutSeconds
  yield* (yield* Stop).begin(Duration.seconds(Math.min(timeoutSeconds, Option.getOrElse(timeoutLimitSeconds, () => timeoutSeconds))))
  const run = spec.pool === undefined
    ? finish(claim, spec, ownBacking(task), Option.none())
    : ofPool(claim, spec, spec.pool.url, metadata.uid)
  yield* Effect.provide(run, TaskStatus.layer(claim))
})

/** Runs a stage of a pool. If the pool's server cannot even be asked, the stage fails as for any other cause, but the pool is not told. */
const ofPool = Effect.fnUntraced(function*(claim: Claim, spec: AgentTaskSpec, url: string, taskUid: string) {
  const parts = yield* Effect.exit(Layer.build(Layer.provideMerge(StateDelivery.layer, TaskApi.layer(url, taskUid))))
  if (Exit.isFailure(parts)) return yield* finish(claim, spec, Effect.failCause(parts.cause), Option.none())
  const { patiently, tellResult } = Context.get(parts.value, TaskApi)
  const tellPool: TellPool = (result, note) => patiently(Effect.tapError(tellResult(result), note))
  yield* Effect.provide(finish(claim, spec, poolBacking(spec), Option.some(tellPool)), parts.value)
})

const finish = Effect.fnUntraced(
  function*<R>(claim: Claim, spec: AgentTaskSpec, backing: Effect.Effect<Backing, StageFailed, R>, tellPool: Option.Option<TellPool>) {
    const { flushLog, outcome } = yield* runStage(spec, backing)
    const result: StageResult = { ...outcome, finishedAt: yield* currentInstant }
    yield* report(claim, result, { flushLog, tellPool })
    if (result.outcome !== "succeeded") return yield* new StageUnsuccessful({ result })
  }
)

/**
 * Runs the effect to its end although SIGTERM interrupts the program, because a stage listens for the signal itself and ends in order. The
 * process then exits with the code of the effect. The effect begins at once: a signal before it listens would be lost.
 */
const surviveInterrupt = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    let code = 0
    const ended = Effect.flatMap(Effect.forkDetach(effect, { startImmediately: true }), Fiber.await).pipe(
      Effect.tap((exit) =>
        Effect.sync(() => {
          code = Exit.isSuccess(exit) ? 0 : Runtime.getErrorExitCode(Cause.squash(exit.cause))
        })
      )
    )
    return Effect.flatten(Effect.uninterruptible(ended)).pipe(Effect.onInterrupt(() =>
      Effect.sync(() => {
        process.exitCode = code
      })
    ))
  })

/**
 * The whole program. Fails with `ClaimLost` (exit code 75) when it cannot have the task, and with `StageUnsuccessful` (1) when the stage
 * did not succeed.
 */
export const worker = surviveInterrupt(Effect.scoped(Effect.provide(claimed, Layer.provideMerge(Stop.layer, Settings.layer))))
