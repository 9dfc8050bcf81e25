// Packs a part of a tree that the runner writes to into a tar.gz, which volume/archive.ts unpacks in another Pod.
// Invariant: no link is followed; what that Pod could not unpack is refused, and then no archive is left behind.
// Used by worker/backing/carried-files.ts; its limits also by worker/stage/seal.ts.
import { Effect, Option, Stream } from "effect"
import { Tar } from "effect/encoding"
import { createWriteStream, rmSync, statSync } from "node:fs"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { createGzip } from "node:zlib"
import { EntryAction, entryAction } from "../../core/stage/archive-entry.ts"
import { codeOf } from "../../schema/system-error.ts"
import { fileTrouble, StageFailed } from "../stage-failed.ts"
import { type ArchiveLimits, named } from "./archive.ts"
import { contentOf, openFile, type Segments } from "./folder.ts"
import { inMebibytes } from "./mebibytes.ts"
import { pathBelow, treeBelow, type TreeEntry, treeLimits, type TreeTooLarge, type TreeUnreadable } from "./tree.ts"

/** Unpacked limits. What the worker packs itself is no bomb, so there is no limit for how well it is packed. */
export const packedLimits: ArchiveLimits = {
  entries: treeLimits.names,
  bytes: 4 * 1024 ** 3,
  ratio: Number.POSITIVE_INFINITY,
  ratioFromBytes: 0
}
/** Continues a sentence about what has more bytes than that: "they". */
export const tooManyBytes = `they have more than ${inMebibytes(packedLimits.bytes)}`
/** The most bytes that a tar adds to an entry: its headers, with a long name, and the padding. */
const bytesPerEntry = 4096

/** Which part of a tree is packed, and the words for it: its files are "they" in every sentence. */
export interface PackedPart {
  readonly root: number
  readonly from: Segments
  readonly wanted: (segments: Segments) => boolean
  readonly isKept: (found: TreeEntry) => boolean
  /** Returns why nothing can be packed because of this one; undefined if it can. */
  readonly obstacle: (found: TreeEntry) => string | undefined
  /** Names it in the failure of a disk that is full. */
  readonly what: string
  /** Returns the failure to pack it, in a sentence that ends with what to do: if `first` is there, that before anything else. */
  readonly refused: (why: string, first?: string) => StageFailed
}

/** How many bytes the archive may have, and the words for where that number comes from. */
export interface ArchiveRoom {
  readonly bytes: number
  readonly left: string
}

/** Worker and runner may be different users, and an archive of a module may have files that only their owner reads. */
const unreadable = (part: PackedPart, found: TreeEntry) =>
  part.refused(`the worker cannot read ${named(pathBelow(found))}`, "make it readable for its group")

const notUtf8 = ({ type }: TreeEntry): string => type === "Symlink" ? "a link whose name or target is not UTF-8" : "whose name is not UTF-8"

const headerOf = (found: TreeEntry) => ({
  path: pathBelow(found),
  type: found.type,
  mode: found.executable ? 0o755 : 0o644,
  linkTarget: found.target
})

/** Returns the failure to read the part, or to write its archive. */
const troubleOf = (part: PackedPart) => (cause: unknown): StageFailed => {
  if (Tar.isTarError(cause)) return part.refused("they changed while they were read")
  if (cause instanceof StageFailed) return cause
  const failed = fileTrouble(part.what)(cause)
  return failed.reason === "DiskFull" ? failed : part.refused("the worker cannot read all of them")
}

const listTrouble = (part: PackedPart) => (error: TreeTooLarge | TreeUnreadable): StageFailed => {
  if (error._tag === "TreeTooLarge") return part.refused(error.why)
  const { cause, last } = error
  return codeOf(cause) === "EACCES" && last !== undefined ? unreadable(part, last) : troubleOf(part)(cause)
}

/** Returns why the other Pod could not unpack what was found; undefined if it can. */
const notToUnpack = (found: TreeEntry): string | undefined => {
  if (!found.isUtf8) return `they hold ${named(pathBelow(found))}, ${notUtf8(found)}`
  const action = entryAction(headerOf(found), "anywhere")
  return EntryAction.$is("Refuse")(action) ? `they hold ${named(pathBelow(found))}, ${action.why}` : undefined
}

/** How many entries are judged before others have their turn. */
const judgedAtOnce = 1024

/** Returns what there is to pack. Fails if the other Pod could not unpack it. */
const listed = Effect.fnUntraced(function*(part: PackedPart) {
  const tree = yield* Effect.mapError(treeBelow(part.root, part.from, part.wanted), listTrouble(part))
  const list: Array<TreeEntry> = []
  let bytes = 0
  for (const [at, found] of tree.entries()) {
    if (at % judgedAtOnce === 0) yield* Effect.yieldNow
    const obstacle = part.obstacle(found)
    if (obstacle !== undefined) return yield* part.refused(obstacle)
    if (!part.isKept(found)) continue
    const why = notToUnpack(found)
    if (why !== undefined) return yield* part.refused(why)
    bytes += found.size + bytesPerEntry
    if (bytes > packedLimits.bytes) return yield* part.refused(tooManyBytes)
    list.push(found)
  }
  return list
})

const entryOf = (part: PackedPart) => (found: TreeEntry): Tar.Entry<StageFailed> => {
  const { linkTarget, mode, path, type } = headerOf(found)
  if (type === "Directory") return Tar.directory(path)
  if (type === "Symlink") return Tar.symlink(path, linkTarget)
  const body = Stream.unwrap(
    Effect.map(
      Effect.mapError(openFile(part.root, [...part.from, ...found.segments]), () => unreadable(part, found)),
      Option.match({ onNone: () => Stream.empty, onSome: ({ fd }) => contentOf(fd, found.size, troubleOf(part)) })
    )
  )
  return Tar.fileStream(path, found.size, body, { mode })
}

/**
 * Packs the part into `file`; returns what is in it, and its size. Makes no file if there is nothing to pack. Fails if the file would be
 * larger than the room.
 */
export const packTree = Effect.fnUntraced(function*(part: PackedPart, file: string, room: ArchiveRoom) {
  rmSync(file, { force: true })
  const list = yield* listed(part)
  if (list.length === 0) return { list, size: 0 }
  // In pieces: all entries of the largest tree at once would take more memory than a worker has.
  const tar = Stream.fromIterable(list, { chunkSize: 256 }).pipe(Stream.map(entryOf(part)), Stream.pipeThroughChannel(Tar.encode()))
  yield* Effect.tryPromise({
    try: (signal) =>
      pipeline(Readable.from(Stream.toAsyncIterable(tar)), createGzip(), createWriteStream(file, { mode: 0o600 }), { signal }),
    catch: troubleOf(part)
  }).pipe(Effect.tapError(() => Effect.sync(() => rmSync(file, { force: true })))) // no caller takes half an archive for a whole one
  const { size } = statSync(file)
  if (size <= room.bytes) return { list, size }
  rmSync(file)
  return yield* part.refused(`packed they have more than ${inMebibytes(room.bytes)}, which is ${room.left}`)
})
