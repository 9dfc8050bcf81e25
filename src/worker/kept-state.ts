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

/** What is added to the name of a file until it is whole. */
export const asideSuffix = ".new"

const write = (file: string, bytes: Uint8Array): void => {
  const fd = openSync(file, "w", 0o600)
  try {
    writeAll(fd, bytes)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** The file is whole and on the disk when this returns. When it throws, nothing is left aside: a full disk has no room for one of each try. */
export const storeWhole = (file: string, bytes: Uint8Array): void => {
  const aside = `${file}${asideSuffix}`
  try {
    write(aside, bytes)
    renameSync(aside, file)
  } catch (error) {
    rmSync(aside, { force: true })
    throw error
  }
  sync(dirname(file))
}

export const keepCopy = (privateDirectory: string, bytes: Uint8Array): Effect.Effect<void, StageFailed> =>
  Effect.try({ try: () => storeWhole(keptStateFile(privateDirectory), bytes), catch: fileTrouble("a copy of the state") })

/** Best effort: a copy too many does no harm. */
export const removeCopy = (privateDirectory: string): Effect.Effect<void> =>
  Effect.ignore(Effect.try({ try: () => rmSync(keptStateFile(privateDirectory), { force: true }), catch: fileTrouble("a copy of the state") }))
