// Files of a tree on disk that a test makes as it goes.
// Used by the tests of what the worker packs.
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"

/** Returns what makes the directories on the way to a path below `directory` and gives the whole path, and what writes a file there. */
export const writtenBelow = (directory: string) => {
  const at = (path: string): string => {
    const whole = join(directory, path)
    mkdirSync(dirname(whole), { recursive: true })
    return whole
  }
  const write = (path: string, content: string | Uint8Array, mode = 0o644): void => writeFileSync(at(path), content, { mode })
  return { at, write }
}
