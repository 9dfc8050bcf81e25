// `make scorecard`: the promises as figures, from the reports that the long tests left in docs/reports. They are printed, and kept in
// docs/reliability.md for people and docs/scorecard.json for programs. It measures nothing: a figure that no test has measured is shown as
// not run. Run from the root of the checkout.
import { Schema } from "effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { Report, reportFile } from "./report.ts"
import { type Row, rows } from "./rows.ts"

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Report))

const reportOf = (name: string): Report | undefined =>
  existsSync(reportFile(name)) ? decode(readFileSync(reportFile(name), "utf8")) : undefined

const isMet = ({ target }: Row, value: number): boolean => "atLeast" in target ? value >= target.atLeast : value <= target.atMost

/** A figure as docs/scorecard.json has it; null where no test has measured it. */
interface Figure extends Pick<Row, "name" | "target"> {
  readonly value: number | null
  readonly error?: number
  readonly met: boolean | null
  readonly seed: number | null
  readonly commit: string | null
  readonly command: string
}
const figures = rows.map((row): Figure => {
  const { name, target } = row
  const report = reportOf(row.report)
  const value = report?.figures[row.figure]
  const error = row.error === undefined ? 0 : report?.figures[row.error]
  if (report === undefined || value === undefined || error === undefined) {
    return { name, value: null, target, met: null, seed: null, commit: null, command: row.command }
  }
  const { command, commit, seed = null } = report
  return { name, value, ...(row.error !== undefined && { error }), target, met: isMet(row, value), seed, commit, command }
})

const number = (value: number): string => Number.isInteger(value) ? value.toLocaleString("en-US") : value.toFixed(2)
const wanted = ({ target }: Figure): string =>
  "atLeast" in target ? `≥ ${number(target.atLeast)}` : target.atMost === 0 ? "0" : `≤ ${number(target.atMost)}`
const cells = (figure: Figure): ReadonlyArray<string> => [
  figure.name,
  wanted(figure),
  figure.value === null ? "not run" : [figure.value, ...(figure.error === undefined ? [] : [figure.error])].map(number).join(" ± "),
  figure.met === null ? "" : figure.met ? "yes" : "**no**",
  `\`${figure.command}\``,
  String(figure.seed ?? ""),
  figure.commit ?? ""
]

const line = (parts: ReadonlyArray<string>) => `| ${parts.join(" | ")} |`
const table = [
  line(["figure", "target", "value", "met", "again with", "seed", "commit"]),
  line(Array.from({ length: 7 }, () => "---")),
  ...figures.map((figure) => line(cells(figure)))
].join("\n")

const page = "docs/reliability.md"
const [before = "", , after] = readFileSync(page, "utf8").split(/(?<=<!-- figures: generated -->\n)|(?=<!-- \/figures -->)/u)
if (after === undefined) {
  throw new Error(`${page} has no place for the figures; put <!-- figures: generated --> and <!-- /figures --> on lines of their own.`)
}
writeFileSync("docs/scorecard.json", `${JSON.stringify(figures, null, 2)}\n`)
writeFileSync(page, `${before}${table}\n${after}`)
console.log(table)
