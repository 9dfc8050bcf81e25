// The copy of a state that the server has not acknowledged yet, in a file of the worker's own volume.
// Always holds: the file is whole and on the disk when the write succeeds, or is the one before it.
// Used by worker/state-delivery.ts and worker/shared-state.ts.
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { Effect } from "effect"
import { writeAll } from "./folder.ts"
import { fileTrouble, type StageFailed } from "./stage-failed.ts"
import { sync } from "./sync.ts"

export const keptStateFile = (privateDirectory: string): string => join(privateDirectory, "unsaved.tfstate")

/** The file is whole and on the disk when this returns. */
export const storeWhole = (file: string, bytes: Uint8Array): void => {
  const fd = openSync(`${file}.new`, "w", 0o600)
  try {
    writeAll(fd, bytes)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(`${file}.new`, file)
  sync(dirname(file))
}

export const keepCopy = (privateDirectory: string, bytes: Uint8Array): Effect.Effect<void, StageFailed> =>
  Effect.try({ try: () => storeWhole(keptStateFile(privateDirectory), bytes), catch: fileTrouble("a copy of the state") })

/** Best effort: a copy too many does no harm. */
export const removeCopy = (privateDirectory: string): Effect.Effect<void> =>
  Effect.ignore(Effect.try({ try: () => rmSync(keptStateFile(privateDirectory), { force: true }), catch: fileTrouble("a copy of the state") }))
