// `make scorecard`: the promises as figures, from the reports that the long tests left in docs/reports. They are printed, and kept in
// docs/reliability.md for people and docs/scorecard.json for programs. It measures nothing: a figure that no test has measured is shown as
// not run. Run from the root of the checkout.
import { Schema } from "effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { type Figure, figureOf } from "./figure.ts"
import { Report, reportFile } from "./report.ts"
import { rows } from "./rows.ts"

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Report))

const reportOf = (name: string): Report | undefined =>
  existsSync(reportFile(name)) ? decode(readFileSync(reportFile(name), "utf8")) : undefined

const figures = rows.map((row) => figureOf(row, reportOf(row.report)))

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
