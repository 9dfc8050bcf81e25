// What is below a directory that the runner writes to: its files, links and directories, by name.
// Always holds: no link is followed; devices, pipes and sockets are left out.
// Used by worker/backing/carried-files.ts.
import { closeSync, lstatSync, readdirSync, readlinkSync } from "node:fs"
import { codeOf } from "../stage-failed.ts"
import { openDirectory, pathIn } from "./descriptor.ts"
import type { Segments } from "./folder.ts"

/** A file, directory or link; `type` as effect/encoding has it. */
export interface Found {
  readonly type: "File" | "Directory" | "Symlink"
  readonly segments: Segments
  /** In bytes; 0 if it is no file. */
  readonly size: number
  readonly executable: boolean
  /** Where a link leads; empty if it is none. */
  readonly target: string
  /** A text that is another one after each write to the file, and after it was replaced. */
  readonly mark: string
}

const foundAt = (path: string, segments: Segments): Found | undefined => {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  const rest = {
    segments,
    executable: false,
    target: "",
    size: 0,
    mark: stat === undefined ? "" : `${stat.ino} ${stat.size} ${stat.ctimeNs}`
  }
  if (stat?.isFile() === true) return { ...rest, type: "File", size: Number(stat.size), executable: (stat.mode & 0o100n) !== 0n }
  if (stat?.isDirectory() === true) return { ...rest, type: "Directory" }
  return stat?.isSymbolicLink() === true ? { ...rest, type: "Symlink", target: readlinkSync(path) } : undefined
}

function* below(directory: number, above: Segments, wanted: (segments: Segments) => boolean): Generator<Found> {
  for (const name of readdirSync(pathIn(directory, ".")).sort()) {
    const segments = [...above, name]
    const found = wanted(segments) ? foundAt(pathIn(directory, name), segments) : undefined
    if (found === undefined) continue
    yield found
    if (found.type !== "Directory") continue
    const child = openDirectory(pathIn(directory, name))
    try {
      yield* below(child, segments, wanted)
    } finally {
      closeSync(child)
    }
  }
}

/**
 * Goes through what is below the directory at `from`, itself below the open directory `root`: each directory before its content. Of what
 * is not `wanted`, nothing below is either. Yields nothing if there is no such directory. Throws the file system's errors.
 */
export function* treeBelow(root: number, from: Segments, wanted: (segments: Segments) => boolean): Generator<Found> {
  const [first, ...rest] = from
  if (first === undefined) return yield* below(root, [], wanted)
  let child: number
  try {
    child = openDirectory(pathIn(root, first))
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(codeOf(error))) return
    throw error
  }
  try {
    yield* treeBelow(child, rest, wanted)
  } finally {
    closeSync(child)
  }
}
