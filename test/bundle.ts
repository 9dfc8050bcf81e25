// Bundles a program as scripts/bundle does, with the same files beside it.
// In a process of its own: the memory that rolldown takes, 800 MiB, would stay with the tests, and to start a process takes longer the more
// memory its parent has. Used by scripts/sbom and kubernetes/connections.
import { execFileSync } from "node:child_process"

/** Writes the bundle of the program `input` to `file`; throws with what rolldown said if there is none. */
export const bundle = (input: string, file: string): void => {
  const flags = ["--config", "scripts/rolldown.config.ts", "--input", input, "--file", file, "--log-level", "silent"]
  execFileSync(process.execPath, ["node_modules/rolldown/bin/cli.mjs", ...flags])
}
