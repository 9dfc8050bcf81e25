import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber } from "effect"
import { makeRoom } from "../../../src/server/access/room.ts"
import type { Caller } from "../../../src/server/access/tokens.ts"
import { ada } from "../live-server.ts"

const bob: Caller = { ...ada, name: "Bob" }
const roomWith = (wait: Duration.Duration) => makeRoom({ all: 5, ofCaller: { task: 1, other: 2 }, wait }, "There is too much")
const settled = Effect.replicateEffect(Effect.yieldNow, 20)

/** Takes room for a byte of the caller's, and keeps it. */
const holding = ({ take }: ReturnType<typeof roomWith>, caller: Caller) =>
  Effect.tap(Effect.forkChild(Effect.scoped(Effect.andThen(take(caller, 1), Effect.never))), settled)

describe("room", () => {
  it.effect("is held by nothing that waits for others of its own caller, however much that is", () =>
    Effect.gen(function*() {
      const room = roomWith(Duration.seconds(10))
      yield* Effect.replicateEffect(holding(room, ada), 9)
      const another = yield* Effect.forkChild(Effect.scoped(room.take(bob, 2)))
      yield* settled
      expect(another.pollUnsafe()).toEqual(Exit.void)
    }))

  it.effect("is refused at once where nothing waits for it, with what is too much, and is given as soon as there is some", () =>
    Effect.gen(function*() {
      const room = roomWith(Duration.zero)
      const [first] = yield* Effect.replicateEffect(holding(room, ada), 2)
      const refusal = { status: 503, error: "busy", retryAfterSeconds: 5, message: "There is too much; try again in 5 s." }
      expect((yield* holding(room, ada)).pollUnsafe()).toMatchObject(Exit.fail(refusal))
      yield* Fiber.interrupt(first!)
      expect((yield* holding(room, ada)).pollUnsafe()).toBeUndefined()
    }))
})
