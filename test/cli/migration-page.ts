// The page that migrate writes beside an overlay, as a person uses it: its commands are typed in a shell.
// Used by the tests of migrate.
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"

/** Returns the commands, as they are written, in those sections of the page whose heading matches. */
export const commandsIn = (overlay: string, heading: RegExp): string =>
  readFileSync(join(overlay, "MIGRATION.md"), "utf8").split(/^(?=##)/mu).filter((_) => heading.test(_)).join("").split("\n").filter((
    line
  ) => line.startsWith("    ")).map((line) => line.slice(4)).join("\n")

/** Runs the commands as one script, below functions in place of what a test lacks. Returns the lines that they print. */
export const typed = async (commands: string, functions: ReadonlyArray<string>): Promise<ReadonlyArray<string>> =>
  (await promisify(execFile)("bash", ["-c", ["set -eo pipefail", ...functions, commands].join("\n")])).stdout.trim().split("\n")
