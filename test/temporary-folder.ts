// A folder of a test's own, which is gone when the scope closes.
// Used by tests of every folder.
import { Effect, type Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export const temporaryFolder = (name: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), `agent-job-${name}-`))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
