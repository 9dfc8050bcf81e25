// The clock by which passes time what they see is that of the leads, put together.
import { expect, it } from "@effect/vitest"
import { leadClock } from "../../../src/controller/world/lead-clock.ts"

it("goes on while this replica leads, and stands still from the end of a lead to the beginning of the next", () => {
  const clock = leadClock()
  clock.goOn(1_000)
  const first = [1_000, 1_500].map(clock.millis)
  clock.stop(2_000)
  const between = [2_000, 9_000].map(clock.millis)
  clock.goOn(10_000)
  const second = [10_000, 10_500].map(clock.millis)
  clock.stop(11_000)
  clock.goOn(61_000)
  expect([first, between, second, clock.millis(62_000)]).toEqual([[1_000, 1_500], [2_000, 2_000], [2_000, 2_500], 4_000])
})
