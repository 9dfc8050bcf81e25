// Folders in which files are written whole before they take their places, and what programs that were killed left of such folders.
// Invariant: none is removed of a program that may be alive, or of another user. Its name has the machine and the process that made it.
// Used by cli/bundle/tar-file and cli/values/overlay-folder.
import { readlinkSync } from "node:fs"
import { lstat, mkdtemp, readdir, rm } from "node:fs/promises"
import { hostname } from "node:os"
import { join } from "node:path"
import { codeOf } from "../../schema/system-error.ts"

/** Returns where numbers of processes mean what they mean here: this machine, or a container, of which several may have one host name. */
export const amongTheseProcesses = (): string => {
  try {
    return `${hostname()}-${readlinkSync("/proc/self/ns/pid").replaceAll(/\D/gu, "")}`
  } catch {
    return hostname() // as on macOS
  }
}

const mayBeAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return codeOf(error) !== "ESRCH"
  }
}

/**
 * Returns which process has made the folder; undefined if its name does not begin as those made here do, since of the processes of another
 * machine or container nothing is known.
 */
const makerOf = (name: string, here: string): number | undefined => {
  const maker = name.startsWith(here) ? /^(\d+)-\w{6}$/u.exec(name.slice(here.length))?.[1] : undefined
  return maker === undefined ? undefined : Number(maker)
}

/** Removes a folder of a program that was killed. It stays where somebody else has removed it, or it is not ours to remove. */
const removeLeft = async (path: string): Promise<void> => {
  const found = await lstat(path)
  if (found.isDirectory() && found.uid === process.geteuid?.()) await rm(path, { recursive: true })
}

/**
 * Makes a folder in `directory` that only its owner may look into; its name begins with `prefix`. Removes those that are left there, if it
 * can, and returns as `others` those whose programs may be alive.
 */
export const folderAside = async (directory: string, prefix: string) => {
  const here = `${prefix}${amongTheseProcesses()}-`
  const path = await mkdtemp(join(directory, `${here}${process.pid}-`))
  const others: Array<string> = []
  for (const name of await readdir(directory).catch(() => [])) {
    const maker = makerOf(name, here)
    const found = join(directory, name)
    if (maker === undefined || found === path) continue
    if (maker !== process.pid && mayBeAlive(maker)) others.push(name)
    else await removeLeft(found).catch(() => {})
  }
  return { path, others }
}
