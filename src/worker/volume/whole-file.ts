// Stores files that outlive the process or the Pod: written beside their place, flushed to the disk, and only then given their name.
// Invariant: a name has a whole file, the new one or the one before; a failed write leaves nothing beside it, which would fill the disk.
// Used by worker/backing/kept-plan, worker/state/unsaved-copy and worker/state/stranded-states.
import { constants, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { using } from "./descriptor.ts"

const { O_NONBLOCK, O_RDONLY } = constants

/** The suffix that a file's name has until the file is whole; a file whose writer was killed keeps it. */
export const asideSuffix = ".new"

/** The age at which such a file is removed: no worker writes for so long, and the file of a killed one would stay for ever. */
export const halfDoneForMillis = 60 * 60 * 1000

/**
 * Flushes the bytes of a file, or the names in a directory, to the disk, so that they are not lost with the node. Throws where somebody who
 * writes to the same volume has put a named pipe in its place, which would block the worker.
 */
export const sync = (path: string): void => {
  using(openSync(path, O_RDONLY | O_NONBLOCK), fsyncSync)
}

/**
 * Puts a whole file in its place; it is on the disk when this returns. `fill` writes to a new file, by its descriptor: a link that somebody
 * else who writes to the same volume has there, or puts there meanwhile, leads the worker nowhere.
 */
export const putWhole = (file: string, fill: (fd: number) => void): void => {
  const aside = `${file}${asideSuffix}`
  try {
    rmSync(aside, { force: true })
    using(openSync(aside, "wx", 0o600), (fd) => {
      fill(fd)
      fsyncSync(fd)
    })
    renameSync(aside, file)
  } catch (error) {
    rmSync(aside, { force: true })
    throw error
  }
  sync(dirname(file))
}

export const storeWhole = (file: string, bytes: Uint8Array): void => putWhole(file, (fd) => writeFileSync(fd, bytes))
