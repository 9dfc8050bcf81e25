// Aligned columns for a terminal: widths are counted in cells, so that wide and combining characters keep the columns straight.
// Invariant: no line ends in spaces, and a row is one line, whatever is in its cells.
// Used by whatever prints tables or columns, and by the screen, which cuts lines to its width.
import { CliOutput } from "effect/cli"

/** Names and messages may have line breaks. Blanks stay, since an indent and a value have some. */
export const onOneLine = (text: string): string => text.replace(/[\t-\r\u2028\u2029]\s*/gu, " ").trimEnd()

/** Plain text is as wide as it is long: Effect need not measure it by ICU's rules, which take 10 ms to load and 2 kB for each text. */
const displayWidth = (text: string): number => /^[ -~]*$/u.test(text) ? text.length : CliOutput.displayWidth(text)

const cells = (text: string, width: number) => text + " ".repeat(Math.max(0, width - displayWidth(text)))

/** Returns the lines of a table with a heading. An empty cell is shown as "-". Columns are three spaces apart, as in kubectl. */
export const table = (heading: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> =>
  columns([heading, ...rows.map((row) => row.map((cell) => cell === "" ? "-" : cell))], "   ")

/** Returns a line for each row, with aligned columns and `gap` between them. */
export const columns = (given: ReadonlyArray<ReadonlyArray<string>>, gap: string): ReadonlyArray<string> => {
  const rows = given.map((row) => row.map(onOneLine))
  const widths = (rows[0] ?? []).map((_, column) => rows.reduce((widest, row) => Math.max(widest, displayWidth(row[column] ?? "")), 0))
  return rows.map((row) => row.map((cell, column) => cells(cell, widths[column] ?? 0)).join(gap).trimEnd())
}

/** How wide prose in a table may be: on a terminal it is cut, so that a row keeps to a line; elsewhere nothing is. */
export const widestProse = (): number => process.stdout.isTTY ? 60 : Number.POSITIVE_INFINITY

/** Returns `text` cut to `width` cells. If something is cut off, the last cell is "…". */
export const fit = (text: string, width: number): string => {
  if (displayWidth(text) <= width) return text
  let [kept, left] = ["", width - 1]
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    left -= displayWidth(segment) // by itself, since any number of them may have no width at all
    if (left < 0) break
    kept += segment
  }
  return `${kept}…`
}
