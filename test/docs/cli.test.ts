// Runs the commands of docs/cli.md that need neither server nor cluster: the page shows what they print.
import { afterAll, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const place = mkdtempSync(join(tmpdir(), "agent-job-docs-"))
afterAll(() => rmSync(place, { recursive: true }))

/** Returns the indented lines from the one that starts with `begin` to the end of its block. */
const shown = (begin: string): string => {
  const lines = readFileSync("docs/cli.md", "utf8").split("\n")
  const from = lines.findIndex((line) => line.startsWith(`    ${begin}`))
  const block = lines.slice(from, lines.findIndex((line, index) => index > from && line !== "" && !line.startsWith("    ")))
  return block.map((line) => line.slice(4)).join("\n").trim()
}

const base = "{}\n"

it.each([
  { begin: "error: base.yaml, prod.yaml", args: ["config", "validate"], prod: "agent:\n  imag: {}\n\ntask:\n  limits:\n    total: 0\n" },
  {
    begin: "task.worker.image.tag:",
    args: ["config", "explain"],
    key: "task.worker.image.tag",
    prod: "agent:\n  image:\n    tag: \"1.3\"\n"
  }
])("shows what $args prints", ({ args, begin, key, prod }) => {
  writeFileSync(join(place, "base.yaml"), base)
  writeFileSync(join(place, "prod.yaml"), prod)
  const program = resolve("src/main.ts")
  const { stderr, stdout } = spawnSync(process.execPath, [
    program,
    ...args,
    "-f",
    "base.yaml",
    "-f",
    "prod.yaml",
    ...(key === undefined ? [] : [key])
  ], { cwd: place, encoding: "utf8", env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE } })
  expect((stdout + stderr).trim()).toBe(shown(begin))
})
