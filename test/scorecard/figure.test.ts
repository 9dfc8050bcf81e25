// When a figure counts as what was promised: by its value alone, whatever its error.
import { expect, it } from "@effect/vitest"
import { figureOf } from "./figure.ts"
import type { Row } from "./rows.ts"

const row: Row = { name: "slope", report: "soak", figure: "slope", target: { atMost: 0 }, command: "make faults" }
const withError: Row = { ...row, error: "slopeError" }
const report = (figures: Readonly<Record<string, number>>) => ({
  date: "2026-01-01",
  commit: "c0ffee",
  machine: "2 cores",
  command: "make faults SEED=1",
  figures
})

it.each([
  { given: "at its limit", row, figures: { slope: 0 }, met: true },
  { given: "above its limit", row, figures: { slope: 0.01 }, met: false },
  { given: "above its limit by less than its error", row: withError, figures: { slope: 0.42, slopeError: 1.51 }, met: false },
  { given: "below its limit by less than its error", row: withError, figures: { slope: -0.42, slopeError: 1.51 }, met: true },
  { given: "without the error that belongs to it", row: withError, figures: { slope: 0 }, met: null },
  { given: "of a test that has not run", row, figures: {}, met: null },
  { given: "as large as it has to be", row: { ...row, target: { atLeast: 40 } }, figures: { slope: 40 }, met: true },
  { given: "smaller than it has to be", row: { ...row, target: { atLeast: 40 } }, figures: { slope: 39 }, met: false }
])("a figure $given is judged $met", ({ figures, met, row }) => expect(figureOf(row, report(figures)).met).toBe(met))

it("tells its error, and how to measure it again", () =>
  expect(figureOf(withError, report({ slope: 1, slopeError: 0.5 }))).toEqual({
    name: "slope",
    target: { atMost: 0 },
    value: 1,
    error: 0.5,
    met: false,
    seed: null,
    commit: "c0ffee",
    command: "make faults SEED=1"
  }))
