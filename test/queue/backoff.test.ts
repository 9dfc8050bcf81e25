// Each key has a wait of its own, longer with each failure in a row, and never longer than the cap.
import { expect, it } from "@effect/vitest"
import { Duration } from "effect"
import { makeBackoff } from "../../src/queue/backoff.ts"

it("waits twice as long after each failure in a row, up to the cap, and anew after the end", () => {
  const backoff = makeBackoff<string>(Duration.seconds(1), Duration.seconds(5))
  const fails = (key: string) => {
    const { count, delay } = backoff.failed(key)
    return [count, Duration.toSeconds(delay)]
  }
  expect([fails("a"), fails("a"), fails("a"), fails("a"), fails("b")]).toEqual([[1, 1], [2, 2], [3, 4], [4, 5], [1, 1]])
  backoff.ended("a")
  expect([fails("a"), fails("b")]).toEqual([[1, 1], [2, 2]])
  for (let nth = 0; nth < 2000; nth++) expect(Duration.toSeconds(backoff.failed("c").delay)).toBeLessThanOrEqual(5)
})
