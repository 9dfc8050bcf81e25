// When an attempt to send something is ended: by time without movement, and not by time alone.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Stream } from "effect"
import { TestClock } from "effect/testing"
import { piecesOf, unlessSilent } from "../../../src/worker/network/silence.ts"

const dead = Effect.fail("dead" as const)

describe("what is sent", () => {
  it.effect("goes on while one piece after another is taken, however slowly", () =>
    Effect.gen(function*() {
      const bytes = Buffer.alloc(1024 * 1024, "a state of a megabyte")
      const taken: Array<Uint8Array> = []
      const sending = unlessSilent(
        piecesOf(bytes),
        Stream.runForEach((piece) => Effect.delay(Effect.sync(() => taken.push(piece)), "50 seconds")),
        dead
      )
      const fiber = yield* Effect.forkChild(sending)
      yield* TestClock.adjust("20 minutes")
      expect(fiber.pollUnsafe()).toEqual(Exit.void)
      expect(Buffer.concat(taken)).toEqual(bytes)
    }))

  it.effect.each([
    { given: "nothing is taken", pieces: 0, minutes: 1 },
    { given: "something was taken, and no answer comes", pieces: 2, minutes: 2 }
  ])("has a whole minute, and is ended within two, when $given", ({ minutes, pieces }) =>
    Effect.gen(function*() {
      const sending = unlessSilent(
        Stream.range(1, 3, 1).pipe(Stream.map((byte) => Uint8Array.of(byte))),
        (all) => Effect.andThen(Stream.runDrain(Stream.take(all, pieces)), Effect.never),
        dead
      )
      const fiber = yield* Effect.forkChild(Effect.flip(sending))
      yield* TestClock.adjust(minutes * 60_000 - 1)
      expect(fiber.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust(1)
      expect(fiber.pollUnsafe()).toEqual(Exit.succeed("dead"))
    }))
})
