// One question for all who ask: while it is on its way, or its answer is fresh, everybody gets the same.
// Invariant: it is asked once at a time, whoever of those that wait leaves; its age is the monotonic clock's, so a clock that is set back keeps no answer.
// Used by the blobs, whose disk anybody may ask about.
import { Clock, Deferred, Duration, Effect, type Scope } from "effect"

interface Verdict<E> {
  readonly said: Deferred.Deferred<void, E>
  /** Monotonic; nothing while it is on its way. */
  endedAt?: bigint
}

/** The question runs in the scope where this is made, which waits for its end. */
export const sharedVerdict = Effect.fnUntraced(
  function*<E>(ask: Effect.Effect<void, E>, fresh: Duration.Duration): Effect.fn.Return<Effect.Effect<void, E>, never, Scope.Scope> {
    const scope = yield* Effect.scope
    let last: Verdict<E> | undefined

    const latest = Effect.uninterruptible(Effect.flatMap(Clock.monotonicTimeNanos, (now) => {
      if (last !== undefined && (last.endedAt === undefined || Duration.isLessThan(Duration.nanos(now - last.endedAt), fresh))) {
        return Effect.succeed(last)
      }
      const verdict: Verdict<E> = { said: Deferred.makeUnsafe() }
      last = verdict
      return ask.pipe(
        Effect.exit,
        Effect.flatMap((exit) =>
          Effect.flatMap(Clock.monotonicTimeNanos, (endedAt) => {
            verdict.endedAt = endedAt
            return Deferred.done(verdict.said, exit)
          })
        ),
        Effect.uninterruptible,
        Effect.forkIn(scope),
        Effect.as(verdict)
      )
    }))

    return Effect.flatMap(latest, ({ said }) => Deferred.await(said))
  }
)
