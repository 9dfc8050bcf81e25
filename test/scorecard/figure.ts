// What a row of the scorecard shows of a report: the figure, and whether it is what was promised. Pure.
// Invariant: an error is shown beside its figure and makes no target easier.
// Used by main.ts.
import type { Report } from "./report.ts"
import type { Row } from "./rows.ts"

/** A figure as docs/scorecard.json has it; null where no test has measured it. */
export interface Figure extends Pick<Row, "name" | "target"> {
  readonly value: number | null
  readonly error?: number
  readonly met: boolean | null
  readonly seed: number | null
  readonly commit: string | null
  readonly command: string
}

const isMet = ({ target }: Row, value: number): boolean => "atLeast" in target ? value >= target.atLeast : value <= target.atMost

/** A figure whose error is not in the report counts as not measured. */
export const figureOf = (row: Row, report: Report | undefined): Figure => {
  const { name, target } = row
  const value = report?.figures[row.figure]
  const error = row.error === undefined ? 0 : report?.figures[row.error]
  if (report === undefined || value === undefined || error === undefined) {
    return { name, value: null, target, met: null, seed: null, commit: null, command: row.command }
  }
  const { command, commit, seed = null } = report
  return { name, value, ...(row.error !== undefined && { error }), target, met: isMet(row, value), seed, commit, command }
}
