// Tells the readers of a stage's log that its engine has ended and nothing happens because the pool's server is waited for.
// Invariant: it goes only round what the worker itself goes on trying, since it says so, and for how long.
// Used by worker/stage/settlement.ts and worker/backing/last-state.ts; worker/backing/saved-by-hand.ts names the same limit.
import { Duration, Effect, Option } from "effect"
import { toldAfter } from "../network/patience.ts"
import { Settings } from "../settings.ts"
import { Stop } from "../task/stop.ts"
import { Log } from "./log-shipper.ts"

/** Continues a sentence about how long a Pod goes on, where its Job has a deadline. */
export const jobLimit = "no longer than its Job may live (task.job.activeDeadlineSeconds)"

const howLong = Effect.fnUntraced(function*(patience: Duration.Duration) {
  const { timeoutLimitSeconds } = yield* Settings
  if (yield* (yield* Stop).isEnding) return "until its Pod ends, which is soon"
  return `for up to ${Duration.format(patience)}${Option.isSome(timeoutLimitSeconds) ? `, and ${jobLimit}` : ""}`
})

/**
 * Waits; after a while, tells that the server has not taken `what` yet, and that the worker goes on trying: for up to `patience`, but not
 * for long once somebody has cancelled the stage or ended its Pod. `advice`: the sentences that are to follow then, each after a space.
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
      const longest = yield* howLong(patience)
      yield* line(
        `The engine has ended, but the pool's server has not yet taken ${what}. The worker goes on trying ${longest}.${yield* advice}`
      )
      return yield* Effect.never
    })
  )
