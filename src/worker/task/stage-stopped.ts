// The one way in which the parts of the worker say that a stage was stopped before its end, and how to notice it while they wait.
// Invariant: work that waits is interrupted by the stop, whatever its cause.
// Used by worker/engine/engine.ts, worker/stage/stage.ts, worker/stage/preparation.ts and worker/stage/retried.ts.
import { Data, Effect, Option } from "effect"
import type { Interrupted, StopCause } from "../../core/stage/outcome.ts"
import { Stop } from "./stop.ts"

/** The stage had to stop; `during` says which command was interrupted, if one ran. */
export class StageStopped extends Data.TaggedError("StageStopped")<{
  readonly cause: StopCause
  readonly during: Option.Option<Interrupted>
  readonly exitCode?: number
}> {}

/** Runs the effect, but fails with `StageStopped` as soon as the stage has to stop. */
export const untilStopped = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    Stop,
    ({ asked }) =>
      Effect.raceFirst(effect, Effect.flatMap(asked, (cause) => Effect.fail(new StageStopped({ cause, during: Option.none() }))))
  )
