// One question for all who ask: while it is being answered, or its answer is fresh, everybody gets the same answer.
// Invariant: it is asked once at a time, even if an asker leaves; the age is monotonic, so a clock that is set back keeps no answer.
// Used by the blobs, whose disk anybody may ask about, and by server/lifecycle/health-routes, whose metrics anybody may read.
import { Clock, Deferred, Duration, Effect, type Scope } from "effect"

interface Verdict<A, E> {
  readonly said: Deferred.Deferred<A, E>
  /** When the answer came, in nanoseconds of the monotonic clock; absent while the question is being answered. */
  endedAt?: bigint
}

/** How long an answer is given again. */
const fresh = Duration.seconds(5)

/** Returns the shared form of `ask`. The question runs in the scope of this call, which waits for its end. */
export const sharedVerdict = Effect.fnUntraced(
  function*<A, E>(ask: Effect.Effect<A, E>): Effect.fn.Return<Effect.Effect<A, E>, never, Scope.Scope> {
    const scope = yield* Effect.scope
    let last: Verdict<A, E> | undefined

    const latest = Effect.uninterruptible(Effect.flatMap(Clock.monotonicTimeNanos, (now) => {
      if (last !== undefined && (last.endedAt === undefined || Duration.isLessThan(Duration.nanos(now - last.endedAt), fresh))) {
        return Effect.succeed(last)
      }
      const verdict: Verdict<A, E> = { said: Deferred.makeUnsafe() }
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
