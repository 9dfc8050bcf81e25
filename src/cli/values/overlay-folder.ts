// Writes the files of an overlay into a folder.
// Invariant: an error says whether the folder is as it was. Files that are not ours stay, and ours that are needed no more go.
// Used by cli/values/write-overlay.ts.
import { Effect } from "effect"
import { mkdir, readdir, readFile, rename, rm, rmdir, stat, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { codeOf, errorInWords } from "../../schema/system-error.ts"
import { folderAside } from "../files/folder-aside.ts"
import { BadInput } from "../terminal/failure.ts"
import { type Files, mark, pageMark } from "./overlay-files.ts"

interface Present {
  readonly name: string
  readonly of: "overlay" | "page" | "others"
}

/** How the name of a folder begins that has the new files until they take their places. */
const asidePrefix = ".overlay-"

const author = async (path: string): Promise<Present["of"]> => {
  const [first = ""] = (await readFile(path, "utf8").catch(() => "")).split("\n")
  return first.includes(mark) ? "overlay" : first.includes(pageMark) ? "page" : "others"
}

const present = async (folder: string): Promise<ReadonlyArray<Present>> => {
  const names = await readdir(folder).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return []
    if (codeOf(error) === "ENOTDIR") throw new Error("it is a file, or below one", { cause: error })
    throw error
  })
  return Promise.all(
    names.filter((name) => !name.startsWith(asidePrefix)).map(async (name) => ({ name, of: await author(join(folder, name)) }))
  )
}

/** Removes folders that makeFolder made, from `lowest` up to `made`. A folder in which another program has put something stays. */
const unmakeFolders = async (lowest: string, made: string): Promise<void> => {
  try {
    await rmdir(lowest)
  } catch {
    return
  }
  if (lowest !== made) await unmakeFolders(dirname(lowest), made)
}

/**
 * Makes the folder and those above it, all or none, and returns the uppermost one that it made. Node's own recursive mkdir never ends on a
 * file system that takes no folders, such as /proc.
 */
const makeFolder = async (folder: string): Promise<string | undefined> => {
  if (await stat(folder).catch(() => undefined) !== undefined) return undefined
  const above = await makeFolder(dirname(folder))
  try {
    await mkdir(folder)
  } catch (error) {
    if (above !== undefined) await unmakeFolders(dirname(folder), above)
    throw error
  }
  return above ?? folder
}

/** The work failed after some files of a folder that was there before were replaced or removed. */
class PartlyWritten extends Error {}

/** Another program may write an overlay there at this moment: of two at once, each would replace some of the other's files. */
class Occupied extends Error {}

/** Writes all files aside first, so that what is likely to fail, such as a full disk, fails before a file of the folder is touched. */
const put = async (folder: string, files: Files, stale: ReadonlyArray<string>): Promise<void> => {
  const made = await makeFolder(folder)
  let aside: string | undefined
  const placed: Array<string> = []
  try {
    const { others: [other], path } = await folderAside(folder, asidePrefix)
    aside = path
    if (other !== undefined) throw new Occupied(other)
    for (const [name, content] of Object.entries(files)) await writeFile(join(aside, name), content)
    for (const name of Object.keys(files).toReversed()) { // kustomization.yaml, which names the others, comes last
      await rename(join(aside, name), join(folder, name))
      placed.push(name)
    }
    for (const name of stale) await rm(join(folder, name))
    await rm(aside, { recursive: true })
  } catch (error) {
    if (aside !== undefined) await rm(aside, { recursive: true, force: true })
    if (made === undefined) throw placed.length > 0 ? new PartlyWritten(errorInWords(error)) : error
    for (const name of placed) await rm(join(folder, name), { force: true })
    await unmakeFolders(folder, made)
    throw error
  }
}

const problem = (folder: string, error: unknown): string => {
  if (error instanceof Occupied) {
    return `Another agent-job writes an overlay to ${folder} now, so this one wrote nothing. Run the same command again once that has ended; if none is at work, take ${error.message} away there first.`
  }
  return error instanceof PartlyWritten
    ? `The overlay in ${folder} is written in part (${error.message}): some of its files are new, others old. Correct that, and run the same command again.`
    : `Cannot write the overlay to ${folder} (${errorInWords(error)}); it is as it was. Name another directory with --out.`
}

/** Fails if files that are not ours are in the folder, unless an overlay of ours is there and none of them has the name of a new file. */
export const writeFolder = Effect.fn("writeFolder")(function*(folder: string, files: Files) {
  const attempt = <A>(work: () => Promise<A>) =>
    Effect.tryPromise({
      try: work,
      catch: (error) => new BadInput({ message: problem(folder, error) })
    })
  const there = yield* attempt(() => present(folder))
  const of = (author: Present["of"]) => there.filter((_) => _.of === author).map(({ name }) => name)
  const [own, foreign] = [of("overlay"), of("others")]
  const inTheWay = own.includes("kustomization.yaml") ? foreign.filter((name) => name in files) : foreign
  if (inTheWay.length > 0) {
    return yield* new BadInput({
      message: `${folder} has files that agent-job overlay did not write (${inTheWay.slice(0, 3).join(", ")}${
        inTheWay.length > 3 ? ", …" : ""
      }); name another directory with --out, or take them away.`
    })
  }
  const stale = own.filter((name) => !(name in files))
  yield* Effect.uninterruptible(attempt(() => put(folder, files, stale))) // Ctrl-C would end the program in the middle of it
})
