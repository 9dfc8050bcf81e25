// A stage that nothing stops: no cancel, no SIGTERM, no deadline.
// Used by the tests of this folder, and by others that run parts of the worker.
import { Effect, Layer } from "effect"
import { signalPlan } from "../../src/core/stage/signal-plan.ts"
import { Stop } from "../../src/worker/task/stop.ts"

/** The stage's Stop, with what a test wants otherwise. */
export const neverStops = (over: Partial<Stop["Service"]> = {}): Layer.Layer<Stop> =>
  Layer.succeed(Stop, {
    asked: Effect.never,
    now: Effect.succeedNone,
    plan: signalPlan(30),
    released: Effect.never,
    tooLate: Effect.never,
    isLeaving: Effect.succeed(false),
    isEnding: Effect.succeed(false),
    because: () => Effect.void,
    begin: () => Effect.void,
    ...over
  })
