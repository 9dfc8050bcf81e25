// How somebody who does not answer is asked again: soon at first, then every few seconds, for as long as it is worth.
// Always holds: that time is the monotonic clock's, so that a step of the wall clock, or a node that slept, gives nothing up.
// Used by everything in the worker that waits for the API server or the pool's server.
import { Clock, Duration, Effect, Schedule } from "effect"

export interface Patience<E> {
  readonly while: (error: E) => boolean
  readonly first: Duration.Input
  /** Time between two questions, at most. */
  readonly spaced: Duration.Input
  readonly limit: Duration.Input
}

export const askAgain = <A, E, R>(
  ask: Effect.Effect<A, E, R>,
  { first, limit, spaced, while: mayHelp }: Patience<E>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Clock.monotonicTimeNanos, (since) =>
    Effect.retry(ask, {
      while: mayHelp,
      schedule: Schedule.min([Schedule.exponential(first), Schedule.spaced(spaced)]).pipe(
        Schedule.jittered,
        Schedule.while(() =>
          Effect.map(Clock.monotonicTimeNanos, (now) => Duration.isLessThan(Duration.nanos(now - since), Duration.fromInputUnsafe(limit)))
        )
      )
    }))
