// A question that costs something, which anybody may ask: one answer serves all who ask meanwhile, and soon after.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { sharedVerdict } from "../../../src/server/store/shared-verdict.ts"

/** A question that is answered by how often it was asked, once `answer` is called; and how often that was. */
const question = Effect.gen(function*() {
  let asked = 0
  const answered = yield* Deferred.make<void, string>()
  const ask = yield* sharedVerdict(Effect.suspend(() => {
    asked++
    return Effect.as(Deferred.await(answered), asked)
  }))
  return { ask, asked: () => asked, answer: (exit: Exit.Exit<void, string> = Exit.void) => Deferred.done(answered, exit) }
})

describe("a shared verdict", () => {
  it.effect("is asked for once by all who ask until it is there, and is the same for all, also that there is none", () =>
    Effect.gen(function*() {
      for (const exit of [Exit.void, Exit.fail("no")] satisfies ReadonlyArray<Exit.Exit<void, string>>) {
        const { answer, ask, asked } = yield* question
        const askers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(ask, { startImmediately: true }))
        yield* answer(exit)
        expect(yield* Effect.forEach(askers, Fiber.await)).toEqual([1, 2, 3].map(() => Exit.map(exit, () => 1)))
        expect(asked()).toBe(1)
      }
    }))

  it.effect("comes also when who asked first has left", () =>
    Effect.gen(function*() {
      const { answer, ask, asked } = yield* question
      const [first, second] = yield* Effect.all([1, 2].map(() => Effect.forkChild(ask, { startImmediately: true })))
      yield* Fiber.interrupt(first!)
      yield* answer()
      expect([yield* Fiber.join(second!), asked()]).toEqual([1, 1])
    }))

  it.effect("is asked for again five seconds after it came", () =>
    Effect.gen(function*() {
      const { answer, ask } = yield* question
      yield* answer()
      const after = (time: "4999 millis" | "1 millis") => Effect.andThen(TestClock.adjust(time), ask)
      expect([yield* ask, yield* after("4999 millis"), yield* after("1 millis")]).toEqual([1, 1, 2])
    }))
})
