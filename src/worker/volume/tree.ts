// What is below a directory that the runner writes to: its files, links and directories, by name.
// Invariant: no link is followed; devices, pipes and sockets are left out; no step is so long that the worker would miss a signal.
// Used by worker/volume/pack-tree.ts, worker/backing/modules-folder.ts and worker/backing/carried-files.ts.
import { Data, Effect } from "effect"
import { isUtf8 } from "node:buffer"
import { closeSync, type Dir, lstatSync, opendirSync, readlinkSync } from "node:fs"
import { named } from "./archive.ts"
import { openDirectory, pathIn } from "./descriptor.ts"
import { mostNames, openBelow, type Segments } from "./folder.ts"

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

export const pathBelow = ({ segments }: Pick<TreeEntry, "segments">): string => segments.join("/")

/** The most names that are read, wanted or not, and the most directories inside of each other: the runner may make any number of both. */
export const treeLimits = { names: mostNames, depth: 64 }

/** How many names are read, or looked at, before others have their turn: signals, the timeout, the probes. */
const namesAtOnce = 256

/** `why` continues a sentence about what was to be listed: "they". */
export class TreeTooLarge extends Data.TaggedError("TreeTooLarge")<{ readonly why: string }> {}

/** `last`: what was found last. A directory is found before it is opened, so it is the one that could not be opened. */
export class TreeUnreadable extends Data.TaggedError("TreeUnreadable")<{ readonly cause: unknown; readonly last: TreeEntry | undefined }> {}

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

/** Returns the next names in a directory, as bytes; fewer than `namesAtOnce` at its end. */
const nextNames = (directory: Dir): ReadonlyArray<Buffer> => {
  const names: Array<Buffer> = []
  while (names.length < namesAtOnce) {
    const found = directory.readSync()
    if (found === null) break
    names.push(Buffer.from(found.name, "latin1")) // which has one character for each byte
  }
  return names
}

/**
 * Returns what is below the directory at `from`, itself below the open directory `root`, by name: each directory before its content. Of what
 * is not `wanted`, nothing below is either. Returns nothing if there is no such directory.
 */
export const treeBelow = (
  root: number,
  from: Segments,
  wanted: (segments: Segments) => boolean,
  limits = treeLimits
): Effect.Effect<ReadonlyArray<TreeEntry>, TreeTooLarge | TreeUnreadable> =>
  Effect.suspend(() => {
    const list: Array<TreeEntry> = []
    let count = 0
    const attempt = <A>(call: () => A) => Effect.try({ try: call, catch: (cause) => new TreeUnreadable({ cause, last: list.at(-1) }) })

    const namesIn = Effect.fnUntraced(function*(directory: Dir) {
      const names: Array<{ readonly bytes: Buffer; readonly name: string }> = []
      for (let more = yield* attempt(() => nextNames(directory)); more.length > 0; more = yield* attempt(() => nextNames(directory))) {
        count += more.length
        if (count > limits.names) return yield* new TreeTooLarge({ why: `they are more than ${limits.names}` })
        for (const bytes of more) names.push({ bytes, name: bytes.toString() })
        yield* Effect.yieldNow
      }
      return names.sort((a, b) => a.name < b.name ? -1 : 1)
    })

    const below = (directory: number, above: Way): Effect.Effect<void, TreeTooLarge | TreeUnreadable> =>
      Effect.gen(function*() {
        const here = Buffer.from(pathIn(directory, ""))
        const names = yield* Effect.acquireUseRelease(
          attempt(() => opendirSync(here, { encoding: "latin1" })),
          namesIn,
          (opened) => Effect.sync(() => opened.closeSync())
        )
        for (const [at, { bytes, name }] of names.entries()) {
          if (at % namesAtOnce === namesAtOnce - 1) yield* Effect.yieldNow
          const segments = [...above.segments, name]
          if (!wanted(segments)) continue
          const path = Buffer.concat([here, bytes])
          const found = yield* attempt(() => foundAt(path, { segments, isUtf8: above.isUtf8 && isUtf8(bytes) }))
          if (found === undefined) continue
          list.push(found)
          if (found.type !== "Directory") continue
          if (segments.length === limits.depth) {
            return yield* new TreeTooLarge({ why: `they hold ${named(pathBelow(found))}, which is too deep` })
          }
          yield* within(attempt(() => openDirectory(path)), found)
        }
      })

    const within = (open: Effect.Effect<number | undefined, TreeUnreadable>, way: Way) =>
      Effect.acquireUseRelease(
        open,
        (directory) => directory === undefined ? Effect.void : below(directory, way),
        (directory) => Effect.sync(() => directory === undefined ? undefined : closeSync(directory))
      )

    return Effect.as(within(attempt(() => openBelow(root, from)), { segments: [], isUtf8: true }), list)
  })
