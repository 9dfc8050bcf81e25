// What is below a directory that the runner writes to: its files, links and directories, by name.
// Invariant: no link is followed; devices, pipes and sockets are left out.
// Used by worker/volume/pack-tree.ts, worker/backing/modules-folder.ts and worker/backing/carried-files.ts.
import { isUtf8 } from "node:buffer"
import { closeSync, lstatSync, readdirSync, readlinkSync } from "node:fs"
import { openDirectory, pathIn } from "./descriptor.ts"
import { missing, type Segments, unlessFails } from "./folder.ts"

/** A file, directory or link; `type` as effect/encoding has it. */
export interface TreeEntry {
  readonly type: "File" | "Directory" | "Symlink"
  readonly segments: Segments
  /** In bytes; 0 if it is no file. */
  readonly size: number
  readonly executable: boolean
  /** Where a link leads; empty if it is none. */
  readonly target: string
  /** A text that is another one after each write to the file, and after it was replaced. */
  readonly mark: string
  /** Whether the names on the way to it, and `target`, are UTF-8. If they are not, no text can say them, and these lead nowhere. */
  readonly isUtf8: boolean
}

export const pathOf = ({ segments }: Pick<TreeEntry, "segments">): string => segments.join("/")

type Way = Pick<TreeEntry, "segments" | "isUtf8">

const foundAt = (path: Buffer, way: Way): TreeEntry | undefined => {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  const rest = {
    ...way,
    executable: false,
    target: "",
    size: 0,
    mark: stat === undefined ? "" : `${stat.ino} ${stat.size} ${stat.ctimeNs}`
  }
  if (stat?.isFile() === true) return { ...rest, type: "File", size: Number(stat.size), executable: (stat.mode & 0o100n) !== 0n }
  if (stat?.isDirectory() === true) return { ...rest, type: "Directory" }
  if (stat?.isSymbolicLink() !== true) return undefined
  const target = readlinkSync(path, { encoding: "buffer" })
  return { ...rest, type: "Symlink", target: target.toString(), isUtf8: way.isUtf8 && isUtf8(target) }
}

function* below(directory: number, above: Way, wanted: (segments: Segments) => boolean): Generator<TreeEntry> {
  const here = Buffer.from(pathIn(directory, ""))
  const names = readdirSync(here, { encoding: "buffer" }).map((bytes) => ({ bytes, name: bytes.toString() }))
  for (const { bytes, name } of names.sort((a, b) => a.name < b.name ? -1 : 1)) {
    const segments = [...above.segments, name]
    const path = Buffer.concat([here, bytes])
    const found = wanted(segments) ? foundAt(path, { segments, isUtf8: above.isUtf8 && isUtf8(bytes) }) : undefined
    if (found === undefined) continue
    yield found
    if (found.type !== "Directory") continue
    const child = openDirectory(path)
    try {
      yield* below(child, found, wanted)
    } finally {
      closeSync(child)
    }
  }
}

/**
 * Goes through what is below the directory at `from`, itself below the open directory `root`: each directory before its content. Of what
 * is not `wanted`, nothing below is either. Yields nothing if there is no such directory. Throws the file system's errors.
 */
export function* treeBelow(root: number, from: Segments, wanted: (segments: Segments) => boolean): Generator<TreeEntry> {
  const [first, ...rest] = from
  if (first === undefined) return yield* below(root, { segments: [], isUtf8: true }, wanted)
  const child = unlessFails(missing, () => openDirectory(pathIn(root, first)), undefined)
  if (child === undefined) return
  try {
    yield* treeBelow(child, rest, wanted)
  } finally {
    closeSync(child)
  }
}
