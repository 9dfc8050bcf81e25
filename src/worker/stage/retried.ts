// Runs a command of the engine again, after a pause, where a server or the network did not give it what it needs.
// Invariant: only what changed nothing is run again, and nothing once the stage has to stop.
// Used by worker/stage/stage.ts.
import { Effect } from "effect"
import { retryDelayMillis } from "../../core/run/retries.ts"
import { Log } from "../engine/log-shipper.ts"
import type { StageFailed } from "../stage-failed.ts"
import { type StageStopped, untilStopped } from "../task/stage-stopped.ts"
import type { Stop } from "../task/stop.ts"

/** How often at most, so that a Pod that may reach no registry soon says so. */
const mostTimes = 2

/** Runs the command to its end, which is that of its last run. */
export const retried = <A, R>(
  run: Effect.Effect<A, StageFailed | StageStopped, R>,
  time = 1
): Effect.Effect<A, StageFailed | StageStopped, R | Log | Stop> =>
  Effect.catchIf(run, (error) => error._tag === "StageFailed" && error.mayPass === true && time <= mostTimes, () =>
    Effect.gen(function*() {
      const delayMillis = retryDelayMillis(time)
      yield* (yield* Log).line(
        `\nA server or the network failed, and nothing was changed: the same is tried again in ${delayMillis / 1000} seconds.`
      )
      yield* untilStopped(Effect.sleep(delayMillis))
      return yield* retried(run, time + 1)
    }))
