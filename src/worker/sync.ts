// Waits until the bytes of a file, or the names in a directory, are on the disk.
// Always holds: what was written or renamed before is not lost with the node any more, once this returns.
// Used by worker/kept-plan.ts and worker/kept-state.ts.
import { closeSync, fsyncSync, openSync } from "node:fs"

export const sync = (path: string): void => {
  const fd = openSync(path, "r")
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
