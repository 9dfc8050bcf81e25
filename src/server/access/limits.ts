// How much one caller may ask for: a rate for each token and link, a lower one for addresses without a valid one, and so many at once.
// Invariant: callers with a valid token or link are never slowed down by those without; health is never limited, nor what says where an API is.
// Used by the borders of all the APIs (server/access/authorize); the limits of connections are in server/lifecycle/listen.
import { Clock, Context, Effect, Layer, Option, type Scope } from "effect"
import type { HttpServerRequest } from "effect/http"
import { Refused } from "../refused.ts"
import { makeShares } from "./shares.ts"
import { type Bucket, fullBucket, isFull, type Rate, take } from "./token-bucket.ts"
import type { Caller } from "./tokens.ts"
import { untilTaken } from "./until-taken.ts"

/**
 * Whose requests are counted together. Those of a link that may wait for more of a log, as ours do, are apart from those that only read it:
 * a stock client does that, and does not ask again after a 429.
 */
export interface Limited {
  readonly kind: Caller["kind"] | "follower"
  readonly name: Caller["name"]
}

/**
 * The rates are far above what agents and workers need: a worker sends a few requests a second, the controllers of a pool a few for each
 * stage. A stock client reads a log in small pieces, one after the other, as fast as they come.
 */
export const Rates = Context.Reference<Readonly<Record<Limited["kind"] | "address", Rate>>>("agent-job/server/Rates", {
  defaultValue: () => ({
    user: { perSecond: 200, burst: 2000 },
    pool: { perSecond: 1000, burst: 5000 },
    task: { perSecond: 100, burst: 1000 },
    link: { perSecond: 1000, burst: 5000 },
    follower: { perSecond: 200, burst: 2000 },
    address: { perSecond: 50, burst: 500 }
  })
})

/**
 * The most unanswered requests of one caller, polls among them: each may hold a piece of a log or of a file until its client takes it. All
 * agents of a pool have one token, with two polls each. All who follow a log have one link.
 */
export const AtOnce = Context.Reference<Readonly<Record<Limited["kind"], number>>>("agent-job/server/AtOnce", {
  defaultValue: () => ({ user: 500, pool: 4000, task: 50, link: 50, follower: 250 })
})

const tooMany = (what: string, retryAfterSeconds: number) =>
  new Refused({
    status: 429,
    error: "too-many-requests",
    retryAfterSeconds,
    message: `There are ${what}; repeat it in ${retryAfterSeconds} s.`
  })

/** The most buckets that are remembered; the oldest is forgotten first. */
const rememberedBuckets = 20_000

const named = {
  address: "address without a valid token",
  link: "link",
  follower: "link",
  user: "token",
  pool: "token",
  task: "token"
}

export class Limits extends Context.Service<Limits, {
  /** Fails with 429 and the seconds to wait when the caller asks too often. Without a caller, the request's address counts. */
  readonly admit: (caller: Option.Option<Limited>, request: HttpServerRequest.HttpServerRequest) => Effect.Effect<void, Refused>
  /**
   * Takes a place among the caller's unanswered requests, until the scope ends and the client has the answer. Fails with 429 when there is
   * none.
   */
  readonly place: (caller: Limited, request: HttpServerRequest.HttpServerRequest) => Effect.Effect<void, Refused, Scope.Scope>
  /** Waits for the caller's turn: in each turn of the event loop one of its answers is begun, however many it asks for at once. */
  readonly turn: (caller: Limited) => Effect.Effect<void>
}>()("agent-job/server/Limits") {
  static readonly layer = Layer.effect(
    Limits,
    Effect.gen(function*() {
      const atOnce = yield* AtOnce
      const places = makeShares()
      const rates = yield* Rates
      const turns = makeShares()
      const buckets = new Map<string, { readonly bucket: Bucket; readonly rate: Rate }>()

      /** Forgets buckets, the longest unused first, up to the first that still matters. */
      const forget = (now: number) => {
        for (const [key, { bucket, rate }] of buckets) {
          if (buckets.size <= rememberedBuckets && !isFull(bucket, rate, now)) return
          buckets.delete(key)
        }
      }

      return Limits.of({
        place: Effect.fnUntraced(function*(caller, request) {
          const { kind } = caller
          if (!(yield* untilTaken(request, places.takeNow(caller, 1, atOnce[kind])))) {
            return yield* tooMany(`${atOnce[kind]} requests of this ${named[kind]} that are not answered yet`, 5)
          }
        }),
        turn: (caller) => Effect.scoped(Effect.andThen(turns.take(caller, 1, 1), Effect.yieldNow)),
        admit: Effect.fnUntraced(function*(caller, request) {
          const now = yield* Clock.currentTimeMillis
          const { kind, name } = Option.getOrElse(
            caller,
            () => ({ kind: "address", name: Option.getOrElse(request.remoteAddress, () => "") } as const)
          )
          const key = `${kind} ${name}`
          const rate = rates[kind]
          const { bucket, waitSeconds } = take(buckets.get(key)?.bucket ?? fullBucket(rate, now), rate, now)
          buckets.delete(key) // so that the map's order is that of the last requests
          buckets.set(key, { bucket, rate })
          forget(now)
          if (waitSeconds > 0) return yield* tooMany(`too many requests of this ${named[kind]}`, waitSeconds)
        })
      })
    })
  )
}
