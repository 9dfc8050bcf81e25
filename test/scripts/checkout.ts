// A checkout of its own for a test of the scripts, with programs of the test in place of those that the scripts call.
// Invariant: nothing outside its folder is written, because the scripts keep all they keep in their checkout and its caches.
// Used by the tests beside it, and by test/cluster/go.test.ts.
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { onTestFinished } from "vitest"

export interface Checkout {
  readonly folder: string
  /** Writes a file of the checkout, which may be run. */
  readonly write: (path: string, text: string) => void
  /** Makes a program that the scripts find before others, as the lines of a shell script. */
  readonly program: (name: string, lines: string) => void
  /** Runs a command in the checkout; returns its exit status and what it printed. */
  readonly run: (command: string, env?: Readonly<Record<string, string>>) => { readonly status: number | null; readonly said: string }
}

/** Makes a checkout of `paths`, which ends with the test. */
export const checkout = (...paths: ReadonlyArray<string>): Checkout => {
  const folder = mkdtempSync(join(tmpdir(), "agent-job-checkout-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const path of paths) cpSync(path, join(folder, path), { recursive: true })
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text, { mode: 0o755 })
  }
  const caches = { CLUSTER_CACHE: join(folder, "cache"), CLUSTER_STATE: join(folder, "state") }
  return {
    folder,
    write,
    program: (name, lines) => write(join("cache/bin", name), `#!/bin/bash\n${lines}\n`),
    run: (command, env = {}) => {
      const { status, stderr, stdout } = spawnSync("bash", ["-c", command], {
        cwd: folder,
        encoding: "utf8",
        env: { PATH: process.env.PATH, HOME: folder, ...caches, ...env }
      })
      return { status, said: stdout + stderr }
    }
  }
}
