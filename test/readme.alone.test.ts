// Runs the commands of the README: they print what it shows. In what it shows, … stands for any text, and alone on a line for any lines.
import { execFileSync, spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { stripVTControlCharacters } from "node:util"
import { afterAll, describe, expect, it } from "vitest"

interface Shown {
  readonly command: string
  readonly output: ReadonlyArray<string>
}

/** Reports whether the line is a command for the reader; an engine's steps in a log begin with "$ " as well. */
const isCommand = (line: string): boolean => /^\$ (?:agent-job|kubectl) /u.test(line)

const shownIn = (block: string): ReadonlyArray<Shown> =>
  block.trimEnd().split("\n").reduce<Array<{ command: string; output: Array<string> }>>((all, line) => {
    if (isCommand(line)) return [...all, { command: line.slice(2), output: [] }]
    all.at(-1)?.output.push(line)
    return all
  }, [])

const blocks = [...readFileSync("README.md", "utf8").matchAll(/```console\n([\s\S]*?)```/gu)].map(([, block]) => shownIn(block ?? ""))

const pattern = (line: string): RegExp =>
  new RegExp(
    `^${
      line.split("…").map((part) => part.trim().replace(/[.*+?^${}()|[\]\\]/gu, "\\$&").replace(/\s+/gu, "\\s+")).join("[\\s\\S]*?")
    }\\s*$`,
    "u"
  )

/** Returns the first shown line that is not printed in its place, else the first printed line that is not shown; "" if all lines match. */
const missing = (shown: ReadonlyArray<string>, printed: ReadonlyArray<string>): string => {
  let at = 0
  let anywhere = false
  for (const line of shown) {
    if (line.trim() === "…") {
      anywhere = true
      continue
    }
    const found = printed.findIndex((candidate, index) => index >= at && pattern(line).test(candidate.trim()))
    if (found < 0 || (!anywhere && found !== at)) return line
    at = found + 1
    anywhere = false
  }
  return anywhere || printed.slice(at).every((line) => line.trim() === "") ? "" : printed[at] ?? ""
}

const environment = {
  ...process.env,
  KUBECONFIG: process.env.TEST_KUBECONFIG ?? process.env.KUBECONFIG,
  PATH: `${process.cwd()}/bin:${process.env.PATH}`,
  NO_COLOR: "1"
}
const run = (command: string): ReadonlyArray<string> => {
  const { stderr, stdout } = spawnSync("bash", ["-c", `${command} 2>&1`], {
    env: environment,
    encoding: "utf8",
    maxBuffer: 64 << 20,
    timeout: 120_000
  })
  return stripVTControlCharacters(`${stdout}${stderr}`).trimEnd().split("\n")
}

describe("the README", () => {
  const forget = (): void =>
    void execFileSync("kubectl", ["-n", "agent-job-tasks", "delete", "atask", "sample-plan", "--ignore-not-found"], { env: environment })
  forget()
  afterAll(forget)

  it("shows commands", () => expect(blocks.flat().length).toBeGreaterThan(5))
  for (const { command, output } of blocks.flat()) {
    it(`shows what \`${command}\` prints`, () => {
      const printed = run(command)
      expect(missing(output, printed), printed.join("\n")).toBe("")
    })
  }
})
