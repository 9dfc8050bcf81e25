// Who waits for news is woken by the commit that brings it, not by a timer.
// Nobody misses a commit: a waiter notes the topic before it looks, so a commit in between wakes it too.
// Used by the long polls (assignments, cancellations, logs) and by the stores that end them.
import { Clock, Context, Deferred, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { Refused } from "./refused.ts"

type Topic = "assignments" | "cancellations" | "logs"

/** What one look gave: an answer, or from when on (milliseconds since 1970) another look may give one without any commit. */
export interface Look<A> {
  readonly found: Option.Option<A>
  readonly againAt?: number | undefined
}

/** Polls that wait at once, at most: each holds a connection and little more. An agent has two, who follows a log one. */
export const Waiters = Context.Reference<number>("agent-job/server/Waiters", { defaultValue: () => 2000 })

const tooMany = new Refused({ status: 429, error: "too-many-waiting", message: "Too many requests wait for news here; repeat it in 5 s.", retryAfterSeconds: 5 })

export class Commits extends Context.Service<Commits, {
  /** In a transaction: wakes the topic's waiters once it is committed. */
  readonly news: (topic: Topic) => Effect.Effect<void>
  /** Looks until something is found; nothing when `waitSeconds` are over or the server stops; 429 when too many wait already. */
  readonly await: <A, E, R>(topic: Topic, waitSeconds: number, look: Effect.Effect<Look<A>, E, R>) => Effect.Effect<Option.Option<A>, E | Refused, R>
  /** Answers all waiters, now and later, with nothing. */
  readonly stop: Effect.Effect<void>
  readonly stopped: Effect.Effect<boolean>
}>()("agent-job/server/Commits") {
  static readonly layer = Layer.effect(Commits, Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const waiting = new Map<Topic, Deferred.Deferred<void>>()
    const waitersAtOnce = yield* Waiters
    let stopped = false
    let waiters = 0

    const wake = (topic: Topic) => Effect.suspend(() => {
      const bell = waiting.get(topic)
      waiting.delete(topic)
      return bell === undefined ? Effect.void : Effect.asVoid(Deferred.succeed(bell, undefined))
    })
    const bellOf = (topic: Topic) => {
      const bell = waiting.get(topic) ?? Deferred.makeUnsafe<void>()
      waiting.set(topic, bell)
      return bell
    }

    const waitFor = <A, E, R>(topic: Topic, waitSeconds: number, look: Effect.Effect<Look<A>, E, R>): Effect.Effect<Option.Option<A>, E | Refused, R> =>
      Effect.gen(function*() {
        const deadline = (yield* Clock.currentTimeMillis) + waitSeconds * 1000
        while (true) {
          const bell = bellOf(topic)
          const { againAt, found } = yield* look
          const now = yield* Clock.currentTimeMillis
          if (Option.isSome(found) || stopped || now >= deadline) return found
          if (waiters >= waitersAtOnce) return yield* tooMany
          waiters++
          yield* Effect.timeoutOption(Deferred.await(bell), Math.max(1, Math.min(deadline, againAt ?? deadline) - now)).pipe(Effect.ensuring(Effect.sync(() => waiters--)))
        }
      })

    return Commits.of({
      news: (topic) => sql.afterCommit(wake(topic)),
      await: waitFor,
      stop: Effect.suspend(() => {
        stopped = true
        return Effect.forEach([...waiting.keys()], wake, { discard: true })
      }),
      stopped: Effect.sync(() => stopped)
    })
  }))
}
