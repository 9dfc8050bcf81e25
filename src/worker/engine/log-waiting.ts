// Tells the readers of a stage's log that its engine has ended and nothing happens because the pool's server is waited for.
// Invariant: it goes only round what the worker itself goes on trying, since it says so.
// Used by worker/stage/settlement.ts and worker/backing/last-state.ts.
import { Duration, Effect } from "effect"
import { toldAfter } from "../network/patience.ts"
import { Log } from "./log-shipper.ts"

/**
 * Waits; after a while, tells that the server has not taken `what` yet, and that the worker goes on trying for up to `patience`. `advice`:
 * the sentences that are to follow then, each after a space.
 */
export const logWaiting = <A, E, R>(
  what: string,
  patience: Duration.Duration,
  wait: Effect.Effect<A, E, R>,
  advice: Effect.Effect<string> = Effect.succeed("")
) =>
  Effect.raceFirst(
    wait,
    Effect.gen(function*() {
      const { line } = yield* Log
      yield* Effect.sleep(toldAfter)
      yield* line(
        `The engine has ended, but the pool's server has not yet taken ${what}. The worker goes on trying for up to ${
          Duration.format(patience)
        }.${yield* advice}`
      )
      return yield* Effect.never
    })
  )
