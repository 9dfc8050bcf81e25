import { expect, it } from "@effect/vitest"
import { amountOf } from "../../../src/schema/values/quantity.ts"

it.each([
  [2, 2],
  ["2", 2],
  ["1.5", 1.5],
  [".5", 0.5],
  ["2.", 2],
  ["500m", 0.5],
  ["100n", 1e-7],
  ["3k", 3000],
  ["5G", 5e9],
  ["512Mi", 536870912],
  ["1Gi", 1073741824],
  ["1e3", 1000],
  ["1E3", 1000],
  ["2E", 2e18],
  ["1Ei", 2 ** 60]
])("%s is %d", (quantity, amount) => expect(amountOf(quantity)).toBeCloseTo(amount, 9))
