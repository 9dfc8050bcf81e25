// Unpacks a tar.gz below an open directory: a configuration archive, which is untrusted, or what a worker packed with a plan.
// Invariant: nothing is written outside of that directory, and what is read and written stays within the limits.
// Used by the backings, worker/backing/kept-plan.ts and worker/backing/carried-files.ts, after the archive's digest was found right.
import { Effect, Stream } from "effect"
import type { Tar } from "effect/encoding"
import { createReadStream, statSync } from "node:fs"
import { pipeline } from "node:stream"
import { createGunzip } from "node:zlib"
import { type ArchiveSize, archiveSize, EntryAction, entryAction } from "../../core/stage/archive-entry.ts"
import { shortened } from "../../core/text/sentence.ts"
import { upTo } from "../../http/body.ts"
import { codeOf } from "../../schema/system-error.ts"
import { fileTrouble, StageFailed } from "../stage-failed.ts"
import { createFile, isFolder, makeFolder, makeLink, removeFile, type Segments, writeStream } from "./folder.ts"
import { inMebibytes } from "./mebibytes.ts"
import { tarEntries, tooMuchBeside } from "./tar-entries.ts"

export interface ArchiveLimits extends ArchiveSize {
  /** The most unpacked bytes for each packed byte, once there are more than `ratioFromBytes`. */
  readonly ratio: number
  readonly ratioFromBytes: number
}

export const archiveLimits: ArchiveLimits = { ...archiveSize, ratio: 100, ratioFromBytes: 16 * 1024 ** 2 }

const refused = (what: string) => new StageFailed({ reason: "InvalidArchive", message: `The configuration archive ${what}.` })
const notAnArchive = () => refused("is not a tar archive packed with gzip; make it with tar -czf")

/** Returns the path as a message says it, in quotes and not too long. */
export const named = (path: string): string => JSON.stringify(shortened(path, 200))

/** The error codes of the file system when two entries are in each other's way, or an entry leads through a link. */
const collisions = new Set(["EEXIST", "ENOTDIR", "EISDIR", "ELOOP"])

/** Returns the failure to write the entry with this path. */
export const entryTrouble = (path: string) => (cause: unknown): StageFailed => {
  const code = codeOf(cause)
  if (collisions.has(code)) return refused(`holds ${named(path)}, which is there twice or lies below a file or link; remove it`)
  // core/stage/archive-entry allows what Linux does; the volume may allow less.
  if (code === "ENAMETOOLONG") return refused(`holds ${named(path)}, whose name is too long for the volume of the Pod; shorten it`)
  return fileTrouble(named(path))(cause)
}

const readTrouble = (cause: unknown): StageFailed => {
  if (cause instanceof StageFailed) return cause
  switch (codeOf(cause)) {
    case "Z_DATA_ERROR":
      return notAnArchive()
    case "Z_BUF_ERROR":
      return refused("is cut off; make it again")
    default:
      return fileTrouble("the configuration archive")(cause)
  }
}

const tarTrouble = (error: Tar.TarError): StageFailed =>
  error.kind === "Truncated"
    ? refused("is cut off; make it again")
    : error.kind === "Unsupported"
    ? refused("holds a sparse file; make it with plain tar -czf")
    : notAnArchive()

interface Allowance {
  readonly bytes: number
  readonly exceeded: () => StageFailed
}

/** Returns to how many bytes this archive may unpack, and the failure if it has more. */
const allowanceOf = (file: string, limits: ArchiveLimits): Allowance => {
  const bytes = Math.min(limits.bytes, Math.max(limits.ratioFromBytes, statSync(file).size * limits.ratio))
  const most = bytes === limits.bytes ? inMebibytes(bytes) : `${limits.ratio} times its size`
  return { bytes, exceeded: () => refused(`unpacks to more than ${most}; leave out what is not configuration`) }
}

/** Streams the unpacked bytes of the tar archive, as many as are allowed. */
const unpacked = (file: string, { bytes, exceeded }: Allowance): Stream.Stream<Uint8Array, StageFailed> =>
  Stream.suspend(() => {
    const gunzip = createGunzip({ chunkSize: 64 * 1024 })
    pipeline(createReadStream(file), gunzip, () => {}) // an error arrives through the iteration below
    return Stream.fromAsyncIterable(gunzip, readTrouble).pipe(upTo(bytes, exceeded))
  })

/** Who packed an archive: only what the worker packed itself may replace files that are there, and have links that lead anywhere. */
export type PackedBy = "user" | "worker"

const unpackEntry =
  (root: number, by: PackedBy, made: () => void) =>
  ({ body, header }: Tar.Entry<StageFailed | Tar.TarError>): Effect.Effect<void, StageFailed | Tar.TarError> => {
    const trouble = entryTrouble(header.path)
    const replaced = (segments: Segments) => by === "worker" && !isFolder(root, segments) ? removeFile(root, segments) : Effect.void
    return EntryAction.$match(entryAction(header, by === "worker" ? "anywhere" : "inside"), {
      WriteFile: ({ executable, segments }) =>
        Effect.andThen(
          replaced(segments),
          writeStream(() => createFile(root, segments, { kind: executable ? "executable" : "plain", replace: false }, made), body, trouble)
        ),
      MakeFolder: ({ segments }) => Effect.try({ try: () => makeFolder(root, segments, made), catch: trouble }),
      MakeLink: ({ segments, target }) =>
        Effect.andThen(replaced(segments), Effect.try({ try: () => makeLink(root, segments, target, made), catch: trouble })),
      Skip: () => Effect.void,
      Refuse: ({ why }) => Effect.fail(refused(`holds ${named(header.path)}, ${why}; remove it`))
    })
  }

/** Unpacks the file below `root`, an open directory. What was written before a failure, such as InvalidArchive or DiskFull, stays. */
export const unpack = Effect.fn("Archive.unpack")((file: string, root: number, limits = archiveLimits, by: PackedBy = "user") => {
  let folders = 0
  const made = () => void folders++
  const allowed = allowanceOf(file, limits)
  const tooMany = (what: string) => Effect.fail(refused(`has more than ${limits.entries} ${what}; leave out what is not configuration`))
  return tarEntries(unpacked(file, allowed), () => refused(`${tooMuchBeside}; make it with plain tar -czf`)).pipe(
    Stream.runFoldEffect(() => 0, (count, entry) =>
      count === limits.entries
        ? tooMany("entries")
        : folders > limits.entries
        ? tooMany("directories")
        : entry.header.size > allowed.bytes // before anything of it is written
        ? Effect.fail(allowed.exceeded())
        : Effect.as(unpackEntry(root, by, made)(entry), count + 1)),
    Effect.catchTag("TarError", (error) => Effect.fail(tarTrouble(error))),
    Effect.flatMap((count) => count === 0 ? Effect.fail(refused("is empty")) : Effect.void)
  )
})
