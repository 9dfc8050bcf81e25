// Aligned columns for a terminal: widths are counted in cells, so that wide and combining characters keep the columns straight.
// Invariant: no line ends in spaces.
// Used by get and the tables of run.
import { CliOutput } from "effect/cli"

const cells = (text: string, width: number) => text + " ".repeat(Math.max(0, width - CliOutput.displayWidth(text)))

/** Lines of a table with a heading; an empty cell is shown as "-". Columns are three spaces apart, as kubectl has them. */
export const table = (heading: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> =>
  columns([heading, ...rows.map((row) => row.map((cell) => cell === "" ? "-" : cell))], "   ")

/** Lines of rows whose columns begin under each other. */
export const columns = (rows: ReadonlyArray<ReadonlyArray<string>>, gap: string): ReadonlyArray<string> => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => CliOutput.displayWidth(row[column] ?? ""))))
  return rows.map((row) => row.map((cell, column) => cells(cell, widths[column] ?? 0)).join(gap).trimEnd())
}

/** `text` cut to `width` cells, the last one "…" when something is missing. */
export const fit = (text: string, width: number): string => {
  if (CliOutput.displayWidth(text) <= width) return text
  let kept = ""
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (CliOutput.displayWidth(kept + segment) > width - 1) break
    kept += segment
  }
  return `${kept}…`
}
