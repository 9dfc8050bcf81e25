import { expect, it } from "@effect/vitest"
import { slope } from "./slope.ts"

it("finds the growth under noise and outliers", () => {
  const line = Array.from({ length: 1000 }, (_, at) => [at, 3 * at + Math.sin(at) * 5 + (at % 100 === 0 ? 1e6 : 0)] as const)
  expect(slope(line)).toBeCloseTo(3, 1)
  expect(slope(line.map(([at]) => [at, 7]))).toBe(0)
  expect(slope([])).toBe(0)
})
