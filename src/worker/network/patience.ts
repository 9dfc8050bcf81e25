// How a server that does not answer is asked again: soon at first, then less and less often, up to a limit.
// Invariant: all time is measured by the monotonic clock, so that a step of the wall clock, or a node that slept, gives nothing up.
// Used by worker/task/claim, worker/task/report, worker/network/task-api, worker/state/asking, worker/network/archive-url and what else measures or tells a wait.
import { Clock, Duration, Effect, Schedule } from "effect"

/** After how long a wait is told: in the worker's output, the log of its stage and the status of its task. */
export const toldAfter = Duration.seconds(20)

/** Begins to measure; returns an effect that tells how long ago that was. */
export const stopwatch = Effect.map(
  Clock.monotonicTimeNanos,
  (since) => Effect.map(Clock.monotonicTimeNanos, (now) => Duration.nanos(now - since))
)

export interface Patience<E> {
  readonly while: (error: E) => boolean
  readonly first: Duration.Input
  /** By which factor each pause is longer than the one before. */
  readonly growth?: number
  /** The longest pause between two attempts. */
  readonly spaced: Duration.Input
  /**
   * For how long after its first failure attempts begin, however long each takes: an upload may break off near its end, and this process
   * may stand still during one.
   */
  readonly limit: Duration.Input
}

export const askAgain = <A, E, R>(
  ask: Effect.Effect<A, E, R>,
  { first, growth = 2, limit, spaced, while: mayHelp }: Patience<E>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    let sinceFailure: Effect.Effect<Duration.Duration> | undefined
    /** How long after the first failure the last attempt began. */
    let begun = Duration.zero
    const noteFailure = Effect.suspend(() =>
      sinceFailure === undefined ? Effect.map(stopwatch, (time) => void (sinceFailure = time)) : Effect.void
    )
    const attempt = Effect.suspend(() =>
      sinceFailure === undefined ? ask : Effect.flatMap(sinceFailure, (time) => {
        begun = time
        return ask
      })
    )
    return Effect.retry(Effect.tapError(attempt, () => noteFailure), {
      while: (error) => mayHelp(error) && Duration.isLessThan(begun, Duration.fromInputUnsafe(limit)),
      schedule: Schedule.min([Schedule.exponential(first, growth), Schedule.spaced(spaced)]).pipe(Schedule.jittered)
    })
  })
