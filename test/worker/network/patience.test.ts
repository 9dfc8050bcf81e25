// How long the worker repeats a request that gets no answer, whatever the wall clock does.
import { describe, expect, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { askAgain } from "../../../src/worker/network/patience.ts"

const counted = (limit: "1 minute" | "1 hour", mayHelp = true) => {
  let asked = 0
  const ask = Effect.suspend(() => Effect.fail(++asked))
  return {
    asked: () => asked,
    asking: Effect.exit(askAgain(ask, { while: () => mayHelp, first: "200 millis", spaced: "5 seconds", limit }))
  }
}

describe("who does not answer", () => {
  it.effect("is asked soon at first, then every few seconds, until the time is over", () =>
    Effect.gen(function*() {
      const { asked, asking } = counted("1 minute")
      const fiber = yield* Effect.forkChild(asking)
      yield* TestClock.adjust("1 second")
      expect(asked()).toBeGreaterThan(2)
      yield* TestClock.adjust("58 seconds")
      expect(fiber.pollUnsafe()).toBeUndefined()
      const before = asked()
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      expect(asked()).toBeLessThanOrEqual(before + 2)
    }))

  it.effect("has all of that time after its first failure, however long the attempt before took", () =>
    Effect.gen(function*() {
      let asked = 0
      const ask = Effect.suspend(() => Effect.delay(Effect.fail("broken off"), ++asked === 1 ? "1 hour" : "0 seconds"))
      const fiber = yield* Effect.forkChild(
        Effect.exit(askAgain(ask, { while: () => true, first: "200 millis", spaced: "5 seconds", limit: "1 minute" }))
      )
      yield* TestClock.adjust("1 hour")
      yield* TestClock.adjust("59 seconds")
      expect(asked).toBeGreaterThan(5)
      expect(fiber.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
    }))

  it.effect("is asked once more when the time went by during an attempt, as where this process stood still", () =>
    Effect.gen(function*() {
      let asked = 0
      const ask = Effect.suspend(() => Effect.delay(Effect.fail("no answer"), ++asked === 2 ? "1 hour" : "0 seconds"))
      const fiber = yield* Effect.forkChild(
        Effect.exit(askAgain(ask, { while: () => true, first: "200 millis", spaced: "5 seconds", limit: "1 minute" }))
      )
      yield* TestClock.adjust("1 second")
      expect(asked).toBe(2)
      yield* TestClock.adjust("2 hours")
      yield* Fiber.join(fiber)
      expect(asked).toBe(3)
    }))

  it.effect("is asked once where there is no time", () =>
    Effect.gen(function*() {
      let asked = 0
      const ask = Effect.suspend(() => Effect.fail(++asked))
      yield* Effect.exit(askAgain(ask, { while: () => true, first: "200 millis", spaced: "5 seconds", limit: Duration.seconds(-1) }))
      expect(asked).toBe(1)
    }))

  it.effect("is asked once when another time would not help", () =>
    Effect.gen(function*() {
      const { asked, asking } = counted("1 hour", false)
      yield* asking
      expect(asked()).toBe(1)
    }))

  it.effect("is not given up because the wall clock was set forward", () =>
    Effect.gen(function*() {
      const { asked, asking } = counted("1 minute")
      const clock = yield* Clock.Clock
      let step = 0
      const stepped: Clock.Clock = {
        ...clock,
        sleep: clock.sleep.bind(clock),
        currentTimeMillis: Effect.map(clock.currentTimeMillis, (millis) => millis + step),
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + step
      }
      const fiber = yield* Effect.forkChild(Effect.provideService(asking, Clock.Clock, stepped))
      yield* TestClock.adjust("1 second")
      step = 3_600_000
      const before = asked()
      yield* TestClock.adjust("30 seconds")
      expect(fiber.pollUnsafe()).toBeUndefined()
      expect(asked()).toBeGreaterThan(before + 3)
      yield* Fiber.interrupt(fiber)
    }))
})
