import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { currentInstant, microTime } from "../../src/kubernetes/clock.ts"

it.each([
  ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000Z"],
  ["2026-01-31T12:00:00.250Z", "2026-01-31T12:00:00.250000Z"]
])("writes %s with the six decimals that the API server asks for", (instant, written) => {
  expect(microTime(Date.parse(instant))).toBe(written)
})

it.effect("tells the time in UTC, with milliseconds", () =>
  Effect.gen(function*() {
    yield* TestClock.setTime(Date.parse("2026-01-31T12:00:00.250Z"))
    expect(yield* currentInstant).toBe("2026-01-31T12:00:00.250Z")
  }))
