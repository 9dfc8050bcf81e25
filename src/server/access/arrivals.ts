// The memory for bodies that are held whole and are no states, for which server/access/bodies has room: JSON, and pieces of logs.
// Invariant: whoever sends slowly keeps from others no more than one caller's part of it, and not for long.
// Used by server/access/authorize, which says whose request it is, and by server/access/http-request, which reads it.
import { Context, Duration, Effect, Layer, Scope, Semaphore } from "effect"
import { Refused } from "../refused.ts"
import { makeQueues } from "./shares.ts"
import type { Caller } from "./tokens.ts"

interface Room {
  /** A body of up to so many bytes needs no room, because server/access/limits bounds how many a caller has. */
  readonly freeUpTo: number
  /** A task has a piece of its log and one of its journal on their way; a pool, a user or a link has more. */
  readonly ofCaller: Readonly<Record<"task" | "other", number>>
  readonly all: number
  /** How long a body waits for room, and then how long it may take to arrive. */
  readonly wait: Duration.Duration
  readonly arrival: Duration.Duration
}

export const ArrivalRoom = Context.Reference<Room>("agent-job/server/ArrivalRoom", {
  defaultValue: () => ({
    freeUpTo: 16 * 1024,
    ofCaller: { task: 1024 * 1024, other: 4 * 1024 * 1024 },
    all: 32 * 1024 * 1024,
    wait: Duration.seconds(10),
    arrival: Duration.seconds(30)
  })
})

const retryAfterSeconds = 5
const busy = new Refused({
  status: 503,
  error: "busy",
  retryAfterSeconds,
  message: `Too many large requests are on their way to the server, with this token or in all; try again in ${retryAfterSeconds} s.`
})
const tooSlow = (arrival: Duration.Duration) =>
  new Refused({
    status: 408,
    error: "request-timeout",
    message: `The request did not arrive in ${Duration.format(arrival)}, and others wait for its room; send it again, and faster.`
  })

/** Reads a body of at most so many bytes with room for it; fails with 503 when there is none in time, and with 408 when it is too slow. */
type Arrive = <A, E, R>(sizeBytes: number, read: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Refused, R>

/** How the body of the present request is read. */
export const CurrentArrival = Context.Reference<Arrive>("agent-job/server/CurrentArrival", { defaultValue: () => (_, read) => read })

export class Arrivals extends Context.Service<Arrivals, { readonly of: (caller: Caller) => Arrive }>()("agent-job/server/Arrivals") {
  static readonly layer = Layer.effect(
    Arrivals,
    Effect.map(ArrivalRoom, ({ all, arrival, freeUpTo, ofCaller, wait }) => {
      const room = Semaphore.makeUnsafe(all)
      const queues = makeQueues()
      const take = (caller: Caller, sizeBytes: number) => {
        const most = ofCaller[caller.kind === "task" ? "task" : "other"]
        return Effect.andThen(queues.take(caller, sizeBytes, most), room.takeScoped(sizeBytes)).pipe( // its own part first, as of states
          Effect.timeoutOrElse({ duration: wait, orElse: () => Effect.fail(busy) })
        )
      }
      return Arrivals.of({
        of: (caller) => (sizeBytes, read) =>
          sizeBytes <= freeUpTo ? read : Effect.scopedWith((held) =>
            Scope.provide(take(caller, sizeBytes), held).pipe(
              Effect.andThen(Effect.timeoutOrElse(read, { duration: arrival, orElse: () => Effect.fail(tooSlow(arrival)) }))
            )
          )
      })
    })
  )
}
