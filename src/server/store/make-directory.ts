// Makes a directory, and those above it that are missing, for the owner alone.
// Always ends: `recursive` of Node's mkdir asks for ever where nothing can be made, as below /proc.
// Used by server/store/blobs for its own directory and, above that, the data directory.
import { mkdir, stat } from "node:fs/promises"
import { dirname } from "node:path"

const isDirectory = (path: string): Promise<boolean> => stat(path).then((found) => found.isDirectory(), () => false)

export const makeDirectory = async (path: string): Promise<void> => {
  if (await isDirectory(path)) return
  if (dirname(path) !== path) await makeDirectory(dirname(path))
  await mkdir(path, { mode: 0o700 }).catch(async (error: unknown) => {
    if (!await isDirectory(path)) throw error // nobody else has made it meanwhile
  })
}
