import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { instantAfter, instantOf, now } from "../../../src/server/store/instants.ts"

describe("an instant", () => {
  it.effect("is now, before or after it, in UTC with milliseconds", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 0, 31, 12))
      expect([yield* now, yield* instantAfter(1500), yield* instantAfter(-1)]).toEqual([
        "2026-01-31T12:00:00.000Z",
        "2026-01-31T12:00:01.500Z",
        "2026-01-31T11:59:59.999Z"
      ])
    }))
  it("sorts as text as it does in time", () => {
    const instants = [0, 999, 1000, 86_400_000, 1.7e12, 1.8e12].map(instantOf)
    expect(instants.toSorted()).toEqual(instants)
  })
})
