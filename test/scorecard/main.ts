// `make scorecard`: the promises as figures, from the reports that the long tests left in docs/reports. They are printed, and kept in
// docs/reliability.md. It measures nothing: a figure that no test has measured is shown as not run.
// Run from the root of the checkout.
import { Schema } from "effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { Report, reportFile } from "./report.ts"
import { type Row, rows } from "./rows.ts"

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Report))

const reportOf = (name: string): Report | undefined =>
  existsSync(reportFile(name)) ? decode(readFileSync(reportFile(name), "utf8")) : undefined

const isMet = ({ target }: Row, value: number): boolean => "atLeast" in target ? value >= target.atLeast : value <= target.atMost

const number = (value: number): string => Number.isInteger(value) ? value.toLocaleString("en-US") : value.toFixed(2)
const wanted = ({ target }: Row): string =>
  "atLeast" in target ? `≥ ${number(target.atLeast)}` : target.atMost === 0 ? "0" : `≤ ${number(target.atMost)}`

const cells = rows.map((row): ReadonlyArray<string> => {
  const report = reportOf(row.report)
  const value = report?.figures[row.figure]
  if (report === undefined || value === undefined) return [row.name, wanted(row), "not run", "", `\`${row.command}\``, "", ""]
  const { command, commit, seed = "" } = report
  return [row.name, wanted(row), number(value), isMet(row, value) ? "yes" : "**no**", `\`${command}\``, String(seed), commit]
})

const line = (parts: ReadonlyArray<string>) => `| ${parts.join(" | ")} |`
const table = [
  line(["figure", "target", "value", "met", "again with", "seed", "commit"]),
  line(Array.from({ length: 7 }, () => "---")),
  ...cells.map(line)
].join("\n")

const page = "docs/reliability.md"
const [before = "", , after] = readFileSync(page, "utf8").split(/(?<=<!-- figures: generated -->\n)|(?=<!-- \/figures -->)/u)
if (after === undefined) {
  throw new Error(`${page} has no place for the figures; put <!-- figures: generated --> and <!-- /figures --> on lines of their own.`)
}
writeFileSync(page, `${before}${table}\n${after}`)
console.log(table)
