// How often a caller may ask: never more than the burst and what flows in, and a refusal names the right time to come again.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { fullBucket, isFull, type Rate, take } from "../../../src/server/access/token-bucket.ts"

const Positive = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 50 }))
const Pauses = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: -500, maximum: 2000 })))

/** Returns for each request whether it is granted, and when it comes. `pauses` are the times between requests. */
const grantedOf = (rate: Rate, pauses: ReadonlyArray<number>) => {
  let now = 0
  let bucket = fullBucket(rate, now)
  return pauses.map((pause) => {
    now += pause
    const taken = take(bucket, rate, now)
    bucket = taken.bucket
    return { now, ...taken }
  })
}

describe("take", () => {
  it.prop("grants no more than the burst and what has flowed in", [Positive, Positive, Pauses], ([perSecond, burst, pauses]) => {
    const forward = pauses.map(Math.abs)
    const granted = grantedOf({ perSecond, burst }, forward).filter(({ waitSeconds }) => waitSeconds === 0).length
    const seconds = forward.slice(1).reduce((sum, pause) => sum + pause, 0) / 1000
    expect(granted).toBeLessThanOrEqual(burst + seconds * perSecond + 1e-6)
  })

  it.prop(
    "grants to who comes again when it was told, and refuses nobody who asks no more than the rate",
    [Positive, Positive, Pauses],
    ([perSecond, burst, pauses]) => {
      const rate = { perSecond, burst }
      for (const { bucket, now, waitSeconds } of grantedOf(rate, pauses)) {
        if (waitSeconds > 0) expect(take(bucket, rate, now + waitSeconds * 1000).waitSeconds).toBe(0)
      }
      expect(grantedOf(rate, pauses.map(() => 1000 / perSecond + 1)).every(({ waitSeconds }) => waitSeconds === 0)).toBe(true)
    }
  )

  it.each([
    { asked: 4, expected: [0, 0, 0, 1] },
    { asked: 5, expected: [0, 0, 0, 1, 1] }
  ])("of $asked at once grants three, with a burst of three", ({ asked, expected }) => {
    expect(grantedOf({ perSecond: 2, burst: 3 }, Array.from({ length: asked }, () => 0)).map(({ waitSeconds }) => waitSeconds)).toEqual(
      expected
    )
  })

  it("names the time until the next token, of which a part is there already", () => {
    expect(take({ left: 0.9, at: 0 }, { perSecond: 1, burst: 1 }, 0).waitSeconds).toBe(1)
    expect(take({ left: 0, at: 0 }, { perSecond: 0.25, burst: 1 }, 2_000).waitSeconds).toBe(2)
  })

  it("is as good as new when it is full again", () => {
    const rate = { perSecond: 1, burst: 2 }
    const { bucket } = take(fullBucket(rate, 0), rate, 0)
    expect([isFull(bucket, rate, 999), isFull(bucket, rate, 1000)]).toEqual([false, true])
  })
})
