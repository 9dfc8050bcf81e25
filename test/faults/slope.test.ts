import { expect, it } from "@effect/vitest"
import { randomOf } from "../simulation/one-thread.ts"
import { slope } from "./slope.ts"

it("finds the growth under noise and outliers", () => {
  const line = Array.from({ length: 1000 }, (_, at) => [at, 3 * at + Math.sin(at) * 5 + (at % 100 === 0 ? 1e6 : 0)] as const)
  expect(slope(line).slope).toBeCloseTo(3, 1)
  expect(slope(line.map(([at]) => [at, 7]))).toEqual({ slope: 0, error: 0 })
  expect(slope([])).toEqual({ slope: 0, error: 0 })
})

it("finds the true growth within its error nineteen times in twenty, and tells less error of less noise", () => {
  const noisy = (noise: number) =>
    Array.from({ length: 200 }, (_, seed) => {
      const next = randomOf(seed + 1)
      return slope(Array.from({ length: 30 }, (_, at) => [at, at / 100 + noise * next()]))
    })
  const share = noisy(1).filter(({ error, slope }) => Math.abs(slope - 0.01) <= error).length / 200
  expect(share).toBeGreaterThan(0.9)
  expect(share).toBeLessThan(0.99)
  const most = (noise: number) => Math.max(...noisy(noise).map(({ error }) => error))
  expect(most(0.1)).toBeLessThan(most(1) / 5)
})
