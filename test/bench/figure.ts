// A figure: what was measured, how often, its budget and what it is compared with; and the table of all figures.
// A repeated figure is judged by its median; the table has its whole range, so that an outlier is not hidden.
// Made by every measurement here, printed by main.ts.

export interface Samples {
  readonly what: string
  readonly values: ReadonlyArray<number>
}

export interface Figure extends Samples {
  readonly unit: "MiB" | "MB" | "ms" | "s" | "writes"
  /** The most that is allowed. Absent: the figure is there for comparison. */
  readonly budget?: number
  /** The most that is allowed, as a multiple of the floor. */
  readonly ratioBudget?: number
  /** What the same machine takes in the same run for the part of the work that cannot be avoided. */
  readonly floor?: Samples
  readonly note?: string
}

const inOrder = (values: ReadonlyArray<number>) => values.toSorted((a, b) => a - b)

/** Returns the smallest value that at least this share of the values does not exceed; NaN if there are no values. */
export const quantile = (values: ReadonlyArray<number>, share: number): number =>
  inOrder(values)[Math.min(values.length - 1, Math.ceil(values.length * share) - 1)] ?? NaN
export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)

const shown = (value: number): string => value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(value < 10 ? 2 : 1)

const range = (values: ReadonlyArray<number>): string =>
  values.length === 1 ? shown(median(values)) : `${shown(Math.min(...values))} / ${shown(median(values))} / ${shown(Math.max(...values))}`

const ratio = ({ values }: Samples, floor: Samples): number => median(values) / median(floor.values)

const verdict = (figure: Figure): string => {
  const { budget, floor, ratioBudget, values } = figure
  if (ratioBudget !== undefined && floor !== undefined) return ratio(figure, floor) > ratioBudget ? "**no**" : "yes"
  if (budget === undefined) return ""
  if (median(values) > budget) return "**no**"
  return Math.max(...values) > budget ? "yes, but not each time" : "yes"
}

const row = (figure: Figure): ReadonlyArray<string> => {
  const { budget, floor, ratioBudget, unit, values, what } = figure
  return [
    what,
    budget !== undefined ? `≤ ${budget} ${unit}` : ratioBudget !== undefined ? `ratio ≤ ${ratioBudget}` : "",
    `${range(values)} ${unit}`,
    floor === undefined ? "" : `${floor.what}: ${range(floor.values)}`,
    floor === undefined ? "" : shown(ratio(figure, floor)),
    verdict(figure)
  ]
}

const head = ["figure", "budget", "measured", "floor", "ratio", "met"]

/** Makes each column as wide as its widest cell, so that the table can be read as plain text too. */
const aligned = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = head.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)))
  const line = (cells: ReadonlyArray<string>) => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`
  const [first = [], ...rest] = rows
  return [line(first), line(widths.map((width) => "-".repeat(width))), ...rest.map(line)].join("\n")
}

export const table = (figures: ReadonlyArray<Figure>): string => {
  const notes = figures.filter(({ note }) => note !== undefined)
  const numbered = (figure: Figure) =>
    figure.note === undefined ? figure : { ...figure, what: `${figure.what} (${notes.indexOf(figure) + 1})` }
  return [aligned([head, ...figures.map(numbered).map(row)]), "", ...notes.map(({ note }, index) => `${index + 1}. ${note}`)].join("\n")
}
