// Puts files where they outlive the process or the Pod: filled beside their place, brought to the disk, and only then given their name.
// Always holds: under its name a file is whole, or the one before it; what could not be put there leaves nothing beside it, since a full disk has no room for one of each try.
// Used by worker/kept-plan, worker/unsaved-copy and worker/stranded-states.
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"

/** What is added to the name of a file until it is whole; one whose writer was killed keeps it. */
export const asideSuffix = ".new"

/** Returns when the bytes of a file, or the names in a directory, are not lost with the node any more. */
export const sync = (path: string): void => {
  const fd = openSync(path, "r")
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Puts a whole file in its place, on the disk when this returns. `fill` makes the file that it is given the path of. */
export const putWhole = (file: string, fill: (aside: string) => void): void => {
  const aside = `${file}${asideSuffix}`
  try {
    fill(aside)
    sync(aside)
    renameSync(aside, file)
  } catch (error) {
    rmSync(aside, { force: true })
    throw error
  }
  sync(dirname(file))
}

export const storeWhole = (file: string, bytes: Uint8Array): void => putWhole(file, (aside) => writeFileSync(aside, bytes, { mode: 0o600 }))
