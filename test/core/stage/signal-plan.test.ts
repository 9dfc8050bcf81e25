// When a stage that is being stopped gets which signal.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { signalPlan } from "../../../src/core/stage/signal-plan.ts"

const Grace = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 86_400 }))

describe("signalPlan", () => {
  it.prop("is one interrupt at once, then TERM, then KILL, all within the grace", [Grace], ([grace]) => {
    const { giveUpAfterMillis, signals } = signalPlan(grace)
    expect(signals.map(({ name }) => name)).toEqual(["INT", "TERM", "KILL"])
    const times = [...signals.map(({ afterMillis }) => afterMillis), giveUpAfterMillis, grace * 1000]
    expect(times[0]).toBe(0)
    expect(times).toEqual([...times].sort((a, b) => a - b))
  })
  it.prop("leaves the engine at least half of the grace", [Grace], ([grace]) => {
    expect(signalPlan(grace).signals[1]?.afterMillis).toBeGreaterThanOrEqual(grace * 500 - 1)
  })
  it.prop("releases the engine soon, and with as much time before TERM", [Grace], ([grace]) => {
    const { releaseAfterMillis, signals } = signalPlan(grace)
    expect(releaseAfterMillis).toBeLessThanOrEqual(10_000)
    expect(releaseAfterMillis * 2).toBeLessThanOrEqual(signals[1]?.afterMillis ?? 0)
    if (grace >= 80) expect(releaseAfterMillis).toBe(10_000)
  })
  it.each([
    { grace: 3600, seconds: [0, 3540, 3560, 3580] },
    { grace: 120, seconds: [0, 60, 80, 100] },
    { grace: 30, seconds: [0, 15, 20, 25] }
  ])("of $grace seconds is $seconds", ({ grace, seconds }) => {
    const { giveUpAfterMillis, signals } = signalPlan(grace)
    expect([...signals.map(({ afterMillis }) => afterMillis), giveUpAfterMillis]).toEqual(seconds.map((_) => _ * 1000))
  })
})
