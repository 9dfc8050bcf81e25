// How long, and how often, a server is asked that gives no usable answer.
import { expect, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { patiently } from "../../../src/cli/server/patiently.ts"
import { NoUse, ServerUnreachable, unanswered } from "../../../src/cli/terminal/failure.ts"
import { toldScreen } from "../told-screen.ts"

it.effect("a server that answers late is away for two minutes too, however often it was asked", () =>
  Effect.gen(function*() {
    let asked = 0
    const late = Effect.gen(function*() {
      asked++
      yield* Effect.sleep("1 minute")
      return yield* new ServerUnreachable({
        url: "http://server",
        detail: "it answers 504",
        why: NoUse.Failing({ status: 504, hadNoEffect: false })
      })
    })
    const fiber = yield* Effect.forkChild(Effect.flip(Effect.provide(patiently(late), toldScreen().layer)))
    yield* TestClock.adjust("1 hour")
    expect((yield* Fiber.join(fiber)).detail).toBe("it answers 504")
    expect(asked).toBe(3)
  }))

it.effect("a server is not away for as long as the machine slept, which some monotonic clocks count", () =>
  Effect.gen(function*() {
    let asked = 0
    const call = Effect.gen(function*() {
      asked++
      if (asked === 2) yield* Effect.sleep("1 hour")
      if (asked < 4) return yield* new ServerUnreachable({ url: "http://server", detail: "so", why: unanswered })
    })
    const fiber = yield* Effect.forkChild(Effect.provide(patiently(call), toldScreen().layer))
    yield* TestClock.adjust("2 hours")
    yield* Fiber.join(fiber)
    expect(asked).toBe(4)
  }))

it.effect("a server that is busy is left alone for as long as it asks for, and one that is away for two seconds", () =>
  Effect.gen(function*() {
    const screen = toldScreen()
    const failures: Array<NoUse> = [
      NoUse.Busy({ seconds: 5, hadNoEffect: true }),
      NoUse.Busy({ seconds: 1, hadNoEffect: true }),
      unanswered
    ]
    const asked: Array<number> = []
    const call = Effect.gen(function*() {
      asked.push(yield* Clock.currentTimeMillis)
      const why = failures.shift()
      if (why !== undefined) return yield* new ServerUnreachable({ url: "http://server", detail: "so", why })
    })
    const fiber = yield* Effect.forkChild(Effect.provide(patiently(call), screen.layer))
    yield* TestClock.adjust("1 minute")
    yield* Fiber.join(fiber)
    expect(asked).toEqual([0, 5000, 7000, 9000])
    expect(screen.of("status")).toEqual([
      "The server is busy (so); trying again",
      "The server is busy (so); trying again",
      "No usable answer from the server (so); trying again"
    ])
  }))
