import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Scope } from "effect"
import { makeRoom } from "../../../src/server/access/room.ts"
import type { Caller } from "../../../src/server/access/tokens.ts"
import { ada } from "../live-server.ts"

const bob: Caller = { ...ada, name: "Bob" }
const roomWith = (wait: Duration.Duration) => makeRoom({ all: 5, ofCaller: { task: 1, other: 2 }, wait }, "There is too much")
const settled = Effect.replicateEffect(Effect.yieldNow, 20)

/** Takes room for what arrives, and never does. */
const arriving = ({ arrive }: ReturnType<typeof roomWith>, caller: Caller) =>
  Effect.tap(Effect.forkChild(arrive(caller, 1, Effect.never, Effect.succeed)), settled)

describe("room", () => {
  it.effect("is held by nothing that waits for others of its own caller, however much that is", () =>
    Effect.gen(function*() {
      const room = roomWith(Duration.seconds(10))
      yield* Effect.replicateEffect(arriving(room, ada), 9)
      const another = yield* Effect.forkChild(room.arrive(bob, 2, Effect.void, Effect.succeed))
      yield* settled
      expect(another.pollUnsafe()).toEqual(Exit.void)
    }))

  it.effect("is refused where what needs it is in memory, with what is too much and before anything else is done, and given as soon as there is some", () =>
    Effect.gen(function*() {
      const { takeNow } = roomWith(Duration.seconds(10))
      const held = yield* Scope.make()
      const now = (caller: Caller, bytes: number) => Effect.runSyncExit(Scope.provide(takeNow(caller, bytes), held))
      expect(now(ada, 2)).toEqual(Exit.void)
      const refusal = { status: 503, error: "busy", retryAfterSeconds: 5, message: "There is too much; try again in 5 s." }
      expect(now(ada, 1)).toMatchObject(Exit.fail(refusal))
      expect(now(bob, 2)).toEqual(Exit.void)
      yield* Scope.close(held, Exit.void)
      yield* Effect.scoped(takeNow(ada, 2))
    }))

  it.effect("is given to one thing that is larger than all of it, while nothing else has any", () =>
    Effect.gen(function*() {
      const { takeNow } = roomWith(Duration.seconds(10))
      yield* Effect.scoped(Effect.andThen(takeNow(ada, 9), Effect.flip(takeNow(bob, 1))))
      yield* Effect.scoped(takeNow(bob, 1))
    }))
})
