// The report that a long test leaves of a run: its figures, and how to get them again. There is one file for each test, in docs/reports.
// Invariant: every figure has its commit and command, and its seed if there is one.
// Written by the long tests (soak, mutants, kill matrix …), read by main.ts.
import { Schema } from "effect"
import { execFileSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { dirname, join } from "node:path"

export const Report = Schema.Struct({
  date: Schema.String,
  commit: Schema.String,
  machine: Schema.String,
  command: Schema.String,
  seed: Schema.optionalKey(Schema.Int),
  figures: Schema.Record(Schema.String, Schema.Finite),
  /** The first test that failed for each planted bug. Reports of other tests, and earlier ones, have none. */
  caughtBy: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
})
export type Report = typeof Report.Type

export const reportFile = (name: string): string => join("docs/reports", `${name}.json`)

const git = (...args: ReadonlyArray<string>): string => execFileSync("git", args, { encoding: "utf8" }).trim()
/** Returns the commit of the checkout, with "-dirty" if a tracked file has changed outside docs, where the reports are written. */
const commit = (): string =>
  `${git("describe", "--always")}${git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs") === "" ? "" : "-dirty"}`

/** Writes the report of a test; has to be called in the root of the checkout. */
export const writeReport = (
  name: string,
  { command, figures, seed, ...rest }: Pick<Report, "command" | "figures" | "seed" | "caughtBy">
): void => {
  const file = reportFile(name)
  const report: Report = {
    date: new Date().toISOString().slice(0, 10),
    commit: commit(),
    machine: `${cpus().length} cores (${cpus()[0]?.model.trim()})`,
    command,
    ...(seed !== undefined && { seed }),
    figures,
    ...rest
  }
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
}
