// Asks a server that is busy, or away for a moment, again, and tells a person so.
// Used by run, get, logs, approve, discard, cancel, vars, pool, state and bundle.
import { Clock, Context, Duration, Effect, Result, Schedule } from "effect"
import { mayPass, type ServerFailure, ServerUnreachable } from "../terminal/failure.ts"
import { Screen } from "../terminal/screen.ts"

/** How often a request is retried while the server gives no usable answer, and at most how many times. */
export const Patience = Context.Reference<{ readonly every: Duration.Duration; readonly times: number }>("agent-job/cli/Patience", {
  defaultValue: () => ({ every: Duration.seconds(2), times: 60 })
})

/** How long to leave the server alone: for this time, or for what a busy one asks for if that is longer. */
const pauseAfter = (error: ServerFailure, every: Duration.Duration) =>
  error._tag === "ServerUnreachable" && error.why._tag === "Busy" ? Duration.max(every, Duration.seconds(error.why.seconds)) : every

/** When to ask again: after each such pause. */
export const askAgain = (every: Duration.Duration) =>
  Schedule.spaced(every).pipe(
    Schedule.setInputType<ServerFailure>(),
    Schedule.modifyDelay(({ input }) => Effect.succeed(pauseAfter(input, every)))
  )

/** How long a server that gives no usable answer is asked again, unless it is only busy: long enough for it to restart. */
const longestAway = Duration.minutes(2)
/** The most that one round counts for: the clock of a machine that slept may have gone on, though nobody asked meanwhile. */
const longestRound = Duration.minutes(1)

/**
 * Retries a call while the server gives no usable answer, until it has been away for two minutes. A busy one may ask for longer. A pause
 * may be interrupted, also where the call may not; `interrupted` is done then.
 */
export const patiently = Effect.fnUntraced(function*<A, E, R>(
  call: Effect.Effect<A, E, R>,
  again: (error: ServerUnreachable) => boolean = mayPass,
  interrupted: Effect.Effect<void> = Effect.void
) {
  const { every, times } = yield* Patience
  const screen = yield* Screen
  let before: bigint | undefined // when it was away last, in nanoseconds of the monotonic clock
  let away = Duration.zero
  for (let left = times;; left--) {
    const answer = yield* Effect.result(call)
    if (Result.isSuccess(answer)) return answer.success
    const error = answer.failure
    if (left === 0 || !(error instanceof ServerUnreachable) || !again(error)) return yield* Effect.fail(error)
    const at = yield* Clock.monotonicTimeNanos
    const isBusy = error.why._tag === "Busy"
    away = isBusy ? Duration.zero : Duration.sum(away, Duration.min(Duration.nanos(at - (before ?? at)), longestRound))
    before = isBusy ? undefined : at
    if (Duration.isGreaterThanOrEqualTo(away, longestAway)) return yield* Effect.fail(error)
    const what = isBusy ? "The server is busy" : "No usable answer from the server"
    yield* screen.status(`${what} (${error.detail}); trying again`)
    yield* Effect.interruptible(Effect.sleep(pauseAfter(error, every))).pipe(Effect.onInterrupt(() => interrupted))
  }
})
