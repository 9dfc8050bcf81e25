// What is said while a command waits: nothing at first, then each second what for, and nothing once that is over.
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { sayingMeanwhile } from "../../../src/cli/terminal/while-silent.ts"
import { toldScreen } from "../told-screen.ts"

it.effect.each([
  { given: "which may be interrupted", region: <A, E, R>(work: Effect.Effect<A, E, R>) => work },
  { given: "which may not be", region: Effect.uninterruptible }
])("work $given is told as waited for after two seconds, and no more once it has ended", ({ region }) =>
  Effect.gen(function*() {
    const screen = toldScreen()
    const answer = yield* Deferred.make<string>()
    const working = yield* Effect.forkChild(
      region(sayingMeanwhile("Waiting for Godot")(Deferred.await(answer))).pipe(
        Effect.tap(() => Effect.sleep("1 minute")), // whoever asked goes on
        Effect.provide(screen.layer)
      )
    )
    yield* TestClock.adjust("1900 millis")
    expect(screen.told).toEqual([])
    yield* TestClock.adjust("2 seconds")
    expect(screen.told).toEqual([1, 2].map(() => ({ kind: "status", text: "Waiting for Godot" })))
    yield* Deferred.succeed(answer, "here")
    yield* TestClock.adjust("1 minute")
    expect(yield* Fiber.join(working)).toBe("here")
    expect(screen.told).toHaveLength(2)
  }))
