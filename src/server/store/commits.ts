// Long polls that wait for news are woken by the commit that brings it, not by a timer.
// No waiter misses a commit: it closes its latch before it looks, so a commit in between wakes it too.
// Used by the long polls (assignments, cancellations, logs) and by the stores that end them.
import { Clock, Context, Effect, Latch, Layer, Semaphore } from "effect"
import { SqlClient } from "effect/sql"
import { Refused } from "../refused.ts"

/**
 * What a waiter waits for. The log of each run is a topic of its own, because otherwise each piece of any log would wake the followers of
 * all others.
 */
type Topic = "assignments" | "cancellations" | `logs ${string}`

/** What one look gave: an answer, or the time (milliseconds since 1970) from which another look may give one without any commit. */
export interface Look<A> {
  readonly found?: A | undefined
  readonly againAt?: number | undefined
}

/**
 * The most polls that wait at once; each holds a connection and little more. An agent has two, and a follower of a log has one. They are
 * counted apart, so that followers of logs never take an agent's place.
 */
export const Waiters = Context.Reference<Readonly<Record<"agents" | "logs", number>>>("agent-job/server/Waiters", {
  defaultValue: () => ({ agents: 2000, logs: 1000 })
})

/**
 * How long a poll of a log waits after news, in milliseconds for each poll of that log: together they come back about a hundred times a
 * second, however often the log grows.
 */
const pauseMillis = 10

/**
 * How many of the polls that are woken look in one turn of the event loop: a commit may wake thousands, and nobody else would be answered
 * before the last of them has looked.
 */
const lookAtOnce = 8

/** How long a poll of a log takes that finds all places taken: earlier command lines ask five times a second while it is answered at once. */
const withoutPlaceMillis = 1000

/** Milliseconds of the monotonic clock: if the wall clock were set back, every poll in flight would last that much longer. */
const elapsedMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos / 1_000_000n))

const tooMany = new Refused({
  status: 429,
  error: "too-many-waiting",
  message: "Too many requests wait for news here; repeat it in 5 s.",
  retryAfterSeconds: 5
})

export class Commits extends Context.Service<Commits, {
  /** Wakes the topic's waiters once the current transaction is committed. */
  readonly news: (topic: Topic) => Effect.Effect<void>
  /**
   * Looks until something is found. Returns undefined when `waitSeconds` are over or the server stops. When too many wait already, a poll of a
   * log looks once more, a second later, so that who holds all places keeps no log from others; one of agents fails with 429.
   */
  readonly await: <A, E, R>(
    topic: Topic,
    waitSeconds: number,
    look: Effect.Effect<Look<A>, E, R>
  ) => Effect.Effect<A | undefined, E | Refused, R>
  /** Makes all waiters, present and future, return without waiting any longer. */
  readonly stop: Effect.Effect<void>
  readonly stopped: Effect.Effect<boolean>
}>()("agent-job/server/Commits") {
  static readonly layer = Layer.effect(
    Commits,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      /** One latch for each poll that waits or is about to; it opens once there is news. */
      const latches = new Map<Topic, Set<Latch.Latch>>()
      const atMost = yield* Waiters
      const stopped = Latch.makeUnsafe()
      const waiting = { agents: 0, logs: 0 }
      const turns = Semaphore.makeUnsafe(lookAtOnce)
      /** Looks once more, after those who were woken before, and lets other requests go first. */
      const inTurn = <A, E, R>(look: Effect.Effect<A, E, R>) => turns.withPermits(1)(Effect.andThen(Effect.yieldNow, look))

      const wake = (topic: Topic) => Effect.sync(() => latches.get(topic)?.forEach((latch) => latch.openUnsafe()))

      const join = (topic: Topic) =>
        Effect.sync(() => {
          const latch = Latch.makeUnsafe()
          latches.set(topic, (latches.get(topic) ?? new Set()).add(latch))
          return latch
        })
      const leave = (topic: Topic, latch: Latch.Latch) =>
        Effect.sync(() => {
          const others = latches.get(topic)
          others?.delete(latch)
          if (others?.size === 0) latches.delete(topic)
        })

      /** Waits until it is the turn of the polls of a log that has news, or the server stops. */
      const turnOf = (topic: Topic) =>
        Effect.suspend(() => Effect.timeoutOption(stopped.await, (latches.get(topic)?.size ?? 0) * pauseMillis))

      const lookUntilFound = <A, E, R>(
        topic: Topic,
        latch: Latch.Latch,
        waitSeconds: number,
        look: Effect.Effect<Look<A>, E, R>
      ): Effect.Effect<A | undefined, E | Refused, R> =>
        Effect.gen(function*() {
          const who = topic === "assignments" || topic === "cancellations" ? "agents" : "logs"
          const news = who === "agents" ? latch.await : Effect.andThen(latch.await, turnOf(topic))
          const deadline = (yield* elapsedMillis) + waitSeconds * 1000
          for (let looks = 0; true; looks++) {
            const lookNow = Effect.andThen(latch.close, look)
            const { againAt, found } = yield* looks === 0 ? lookNow : inTurn(lookNow)
            const left = deadline - (yield* elapsedMillis)
            if (found !== undefined || stopped.isOpen() || left <= 0) return found
            if (waiting[who] >= atMost[who]) {
              if (who === "agents") return yield* tooMany
              yield* leave(topic, latch) // it waits for no news, so nobody who does waits for it
              yield* Effect.timeoutOption(stopped.await, Math.min(left, withoutPlaceMillis))
              return (yield* look).found
            }
            const untilAgain = againAt === undefined ? left : againAt - (yield* Clock.currentTimeMillis)
            yield* Effect.acquireUseRelease(
              Effect.sync(() => waiting[who]++),
              () => Effect.timeoutOption(news, Math.max(1, Math.min(left, untilAgain))),
              () => Effect.sync(() => waiting[who]--)
            )
          }
        })

      return Commits.of({
        news: (topic) => sql.afterCommit(wake(topic)),
        await: (topic, waitSeconds, look) =>
          Effect.acquireUseRelease(
            join(topic),
            (latch) => lookUntilFound(topic, latch, waitSeconds, look),
            (latch) => leave(topic, latch)
          ),
        stop: Effect.suspend(() => {
          stopped.openUnsafe()
          return Effect.forEach([...latches.keys()], wake, { discard: true })
        }),
        stopped: Effect.sync(() => stopped.isOpen())
      })
    })
  )
}
