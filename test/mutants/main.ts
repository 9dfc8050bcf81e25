// `make mutants`: plants each deliberate bug alone in a copy of the checkout and runs the test that has to catch it.
// Invariant: a test that fails without any bug ends the run, and a bug that survives fails it. The table is docs/mutants.md.
// Run from the root of the checkout by scripts/mutants; arguments choose bugs by parts of their names or of their tests' paths.
import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { writeReport } from "../scorecard/report.ts"
import { type Mutant, mutants } from "./mutants.ts"
import { type End, endOf } from "./verdict.ts"

const copy = mkdtempSync(join(tmpdir(), "mutants-"))
process.once("exit", () => rmSync(copy, { recursive: true, force: true }))
for (
  const path of execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { encoding: "utf8" }).split("\0")
    .filter((_) => _ !== "" && existsSync(_))
) cpSync(path, join(copy, path))
symlinkSync(resolve("node_modules"), join(copy, "node_modules"))

type Verdict = "caught" | "survived" | "out of date" | "no verdict"

/**
 * Runs a test file and returns whether a test in it failed, and which first. It uses a fixed seed and few schedules: a bug that those do
 * not find has a test of its own.
 */
const run = (test: string): End => {
  const report = join(copy, "report.json")
  rmSync(report, { force: true })
  spawnSync("node_modules/.bin/vitest", [
    "run",
    ...(test.startsWith("simulation/") ? ["simulation"] : ["unit", "process"]).flatMap((kind) => ["--project", kind]),
    `test/${test}`,
    "--bail",
    "1",
    "--reporter",
    "json",
    "--outputFile",
    report
  ], {
    cwd: copy,
    env: {
      ...process.env,
      PROPERTY_SEED: "1",
      SIMULATION_SCHEDULES: process.env["SIMULATION_SCHEDULES"] ?? "400",
      SIMULATION_SHORTEN: "no",
      TEST_PATIENCE: "60000"
    },
    timeout: 300_000
  })
  return existsSync(report) ? endOf(readFileSync(report, "utf8")) : { end: "no verdict" }
}

const judge = ({ file, from, test, to }: Mutant): { readonly verdict: Verdict; readonly title?: string } => {
  const path = join(copy, file)
  const text = readFileSync(path, "utf8")
  if (text.split(from).length !== 2) return { verdict: "out of date" }
  writeFileSync(path, text.replace(from, () => to))
  const { end, title } = run(test)
  writeFileSync(path, text)
  if (title !== undefined) return { verdict: "caught", title }
  return { verdict: end === "passed" ? "survived" : "no verdict" }
}

const chosen = mutants.filter(({ name, test }) =>
  process.argv.length < 3 || process.argv.slice(2).some((part) => name.includes(part) || test.includes(part))
)
const unsound = [...new Set(chosen.map(({ test }) => test))].filter((test) => run(test).end !== "passed")
if (unsound.length > 0) throw new Error(`These tests do not pass without any bug: ${unsound.join(", ")}; correct them first.`)

const judged = chosen.map((mutant) => {
  const { title, verdict } = judge(mutant)
  console.log(`${verdict.padEnd(12)} ${mutant.name} (${mutant.test}${title === undefined ? "" : `: ${title}`})`)
  return { ...mutant, title, verdict }
})
const missed = judged.filter(({ verdict }) => verdict !== "caught")
console.log(`${judged.length - missed.length} of ${judged.length} caught`)

if (chosen.length === mutants.length) {
  writeReport("mutants", {
    command: "make mutants",
    seed: 1,
    figures: { planted: judged.length, survived: missed.length },
    caughtBy: Object.fromEntries(judged.flatMap(({ name, title }) => title === undefined ? [] : [[name, title]]))
  })
  writeFileSync(
    "docs/mutants.md",
    `# Mutants

Deliberate bugs of one line, planted one at a time, the file of fast tests that has to catch each, and the first test in it that failed. Written by \`make mutants\`: ${
      judged.length - missed.length
    } of ${judged.length} caught.

| bug | in | caught by | where this failed first |
| --- | --- | --- | --- |
${
      judged.map(({ file, name, test, title = "", verdict }) =>
        `| ${name} | \`${file}\` | ${verdict === "caught" ? `\`test/${test}\`` : `**${verdict}**`} | ${title.replaceAll("|", "\\|")} |`
      ).join("\n")
    }
`
  )
}
process.exitCode = missed.length === 0 ? 0 : 1
