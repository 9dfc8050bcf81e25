// Room in memory, of which each caller has a part. When it is full, what needs it waits, and is not read meanwhile.
// Invariant: whoever sends slowly keeps from others no more than one caller's part; who waits for others of its own caller holds no room.
// Used by server/access/bodies, which says how much room there is for what.
import { type Duration, Effect, Scope, Semaphore } from "effect"
import { Refused } from "../refused.ts"
import { makeShares } from "./shares.ts"
import type { Caller } from "./tokens.ts"

export interface RoomLimits {
  readonly all: number
  /** The part of one task, and of everyone with the same token of a user or pool. A single body may be larger. */
  readonly ofCaller: Readonly<Record<"task" | "other", number>>
  /** How long a body waits for room. */
  readonly wait: Duration.Duration
}

const retryAfterSeconds = 5

/** Makes a room. Where there is none in time, all fail with 503 and `full`, which says what is too much. */
export const makeRoom = ({ all, ofCaller, wait }: RoomLimits, full: string) => {
  const room = Semaphore.makeUnsafe(all)
  const parts = makeShares()
  const turns = makeShares()
  const busy = new Refused({ status: 503, error: "busy", retryAfterSeconds, message: `${full}; try again in ${retryAfterSeconds} s.` })
  const inTime = Effect.timeoutOrElse({ duration: wait, orElse: () => Effect.fail(busy) })

  /** Takes room until `held` ends, and before that a part of the caller's own, until the scope ends. */
  const takeInto = (held: Scope.Scope, caller: Caller, sizeBytes: number) =>
    Effect.andThen(
      parts.take(caller, sizeBytes, ofCaller[caller.kind === "task" ? "task" : "other"]),
      Scope.provide(room.takeScoped(sizeBytes), held)
    )

  return {
    /** Takes room for what is in memory already, until the scope ends. Where there is none it fails in the same turn of the event loop. */
    takeNow: Effect.fnUntraced(function*(caller: Caller, sizeBytes: number) {
      const most = ofCaller[caller.kind === "task" ? "task" : "other"]
      const amount = Math.min(sizeBytes, all)
      const taken = (yield* parts.takeNow(caller, Math.min(sizeBytes, most), most))
        && (yield* Effect.acquireRelease(room.takeIfAvailable(amount), (is) => is ? room.release(amount) : Effect.void))
      if (!taken) return yield* busy
    }),
    /** Runs `use` with room, for one at a time of each caller. */
    inTurn: <A, E, R>(caller: Caller, sizeBytes: number, use: Effect.Effect<A, E, R>) =>
      Effect.scopedWith((held) => {
        const take = inTime(Effect.andThen(turns.take(caller, 1, 1), takeInto(held, caller, sizeBytes)))
        return Effect.andThen(Scope.provide(take, held), use)
      }),
    /** Runs `use` with what is read, which has room until `use` ends. It is of its caller's part only until it has arrived. */
    arrive: <A, E, B, E2>(caller: Caller, sizeBytes: number, read: Effect.Effect<A, E>, use: (whole: A) => Effect.Effect<B, E2>) =>
      Effect.scopedWith((held) => Effect.flatMap(Effect.scoped(Effect.andThen(inTime(takeInto(held, caller, sizeBytes)), read)), use))
  }
}
