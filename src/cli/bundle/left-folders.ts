// The folder that an archive is written in, and what of such folders is left beside it of programs that were killed.
// Invariant: none is removed of a program that may be alive, or of another user. Its name has the machine and the process that made it.
// Used by tar-file.
import { lstat, mkdtemp, readdir, rm, rmdir } from "node:fs/promises"
import { hostname } from "node:os"
import { join } from "node:path"
import { codeOf } from "../../schema/system-error.ts"

/** The name of the one file in such a folder. */
export const inFolder = "bundle"

/** Of another machine, or of a container, nothing is known here. */
const madeHere = `.bundle-${hostname()}-`

const mayBeAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return codeOf(error) !== "ESRCH"
  }
}

const isLeft = async (path: string, name: string): Promise<boolean> => {
  const maker = name.startsWith(madeHere) ? /^(\d+)-\w{6}$/u.exec(name.slice(madeHere.length))?.[1] : undefined
  if (maker === undefined || mayBeAlive(Number(maker))) return false
  const found = await lstat(path)
  return found.isDirectory() && found.uid === process.geteuid?.()
}

/** Makes a folder in `directory` that only its owner may look into. Removes those that are left there, if it can. */
export const folderIn = async (directory: string): Promise<string> => {
  const made = await mkdtemp(join(directory, `${madeHere}${process.pid}-`))
  for (const name of await readdir(directory).catch(() => [])) {
    const path = join(directory, name)
    try {
      if (!await isLeft(path, name)) continue
      await rm(join(path, inFolder), { force: true })
      await rmdir(path) // fails if anything else is in it
    } catch {
      // somebody else has removed it, or it is not ours to remove
    }
  }
  return made
}
