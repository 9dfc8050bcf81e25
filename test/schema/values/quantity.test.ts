// Every way in which Kubernetes lets one write a quantity, and the number that it is.
import { describe, expect, it } from "@effect/vitest"
import { amountOf } from "../../../src/schema/values/quantity.ts"

describe("the amount of", () => {
  it.each([
    [2, 2],
    ["2", 2],
    ["1.5", 1.5],
    [".5", 0.5],
    ["2.", 2],
    ["1e3", 1000],
    ["1E3", 1000],
    ["100n", 1e-7],
    ["20u", 2e-5],
    ["500m", 0.5],
    ["3k", 3000],
    ["4M", 4e6],
    ["5G", 5e9],
    ["6T", 6e12],
    ["7P", 7e15],
    ["2E", 2e18],
    ["3Ki", 3072],
    ["512Mi", 536870912],
    ["1Gi", 1073741824],
    ["2Ti", 2 ** 41],
    ["4Pi", 2 ** 52],
    ["1Ei", 2 ** 60]
  ])("%s is %d", (quantity, amount) => expect(amountOf(quantity) / amount).toBeCloseTo(1, 12))
})
