// Files of the runner that the worker may not read.
// Used by the tests of what the worker packs.
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { chmodSync, chownSync } from "node:fs"

const isRoot = process.getuid?.() === 0

/**
 * Lets the rest of the test run as a user who owns all in `place` but what is `denied`, because root may read everything. Without root, the
 * user stays, and what is denied loses all permissions.
 */
export const asWorker = (place: string, denied: string, mode: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      if (isRoot) execFileSync("chown", ["-R", "1001", place])
      if (isRoot) chownSync(denied, 0, 0)
      chmodSync(denied, isRoot ? mode : 0)
      if (isRoot) process.seteuid?.(1001)
    }),
    () =>
      Effect.sync(() => {
        if (isRoot) process.seteuid?.(0)
        chmodSync(denied, 0o700)
      })
  )
