// What an apply needs beside plan and archive: the modules that `init` brought, and what planning made in the configuration.
// Always holds: the worker follows no link in them; what does not fit into the package is told before anybody approves the plan.
// Used by worker/stage/stage.ts, worker/stage/provision.ts, worker/backing/saved-plan.ts and worker/stage/seal.ts.
import { Effect, Option, Stream } from "effect"
import { Tar } from "effect/encoding"
import { createWriteStream, existsSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { createGzip } from "node:zlib"
import { EntryAction, entryAction } from "../../core/stage/archive-entry.ts"
import { lockFileName, savedPlanName } from "../../core/stage/stage-commands.ts"
import { backendFileName, variablesFileName } from "../../core/text/hcl.ts"
import { shortened } from "../../core/text/sentence.ts"
import { codeOf } from "../../core/text/system-error.ts"
import { planLimitBytes } from "../../schema/api/task-api.ts"
import { Log } from "../engine/log-shipper.ts"
import { Settings } from "../settings.ts"
import { fileTrouble, invalid, StageFailed } from "../stage-failed.ts"
import { type ArchiveLimits, unpack } from "../volume/archive.ts"
import { pathIn } from "../volume/descriptor.ts"
import { contentOf, makeFolder, openFile, openFolder, type Segments } from "../volume/folder.ts"
import { inMebibytes } from "../volume/mebibytes.ts"
import { type Found, treeBelow } from "../volume/tree.ts"
import type { Provisioned } from "./backing.ts"

/** The names of the archives inside a plan's package, and in the worker's own directory. */
const modulesArchive = "modules.tar.gz"
const madeArchive = "made.tar.gz"
const archives = [modulesArchive, madeArchive] as const

const engineFolder = "engine"
const modulesFolder = "modules"

/** Unpacked limits. What the worker packs itself is no bomb, so there is no limit for how well it is packed. */
const limits: ArchiveLimits = { entries: 200_000, bytes: 4 * 1024 ** 3, ratio: Number.POSITIVE_INFINITY, ratioFromBytes: 0 }
/** The most bytes that a tar adds to an entry: its headers, with a long name, and the padding. */
const bytesPerEntry = 4096
/** Room in the package for the seal and for what a tar adds. */
const reservedBytes = 1024 ** 2 + 64 * 1024

/** Which part of a tree is packed, and the words for it. */
interface Part {
  readonly root: number
  readonly from: Segments
  readonly wanted: (segments: Segments) => boolean
  readonly isKept: (found: Found) => boolean
  /** Returns why nothing can be kept because of this one; undefined if it can. */
  readonly obstacle: (found: Found) => string | undefined
  readonly what: string
  readonly remedy: string
}

const notKept = ({ remedy, what }: Part, why: string) => invalid(`${what} cannot be kept with the plan, because ${why}; ${remedy}.`)

const pathOf = ({ segments }: Pick<Found, "segments">): string => segments.join("/")

const named = (found: Found): string => JSON.stringify(shortened(pathOf(found), 200))

/** Worker and runner may be different users, and an archive of a module may have files that only their owner reads. */
const unreadable = (part: Part, found: Found) =>
  notKept({ ...part, remedy: `make it readable for its group, or ${part.remedy}` }, `the worker cannot read ${named(found)}`)

const notUtf8 = ({ type }: Found): string => type === "Symlink" ? "a link whose name or target is not UTF-8" : "whose name is not UTF-8"

const headerOf = ({ executable, segments, target, type }: Found) => ({
  path: segments.join("/"),
  type,
  mode: executable ? 0o755 : 0o644,
  linkTarget: target
})

/** Returns the failure to read the part, or to write its archive. */
const troubleOf = (part: Part) => (cause: unknown): StageFailed => {
  if (Tar.isTarError(cause)) return notKept(part, "they changed while they were read")
  if (cause instanceof StageFailed) return cause
  const failed = fileTrouble(part.what.toLowerCase())(cause)
  return failed.reason === "DiskFull" ? failed : notKept(part, "the worker cannot read all of them")
}

/** Returns what there is to pack. Fails if the other Pod could not unpack it. */
const listed = Effect.fnUntraced(function*(part: Part) {
  const list: Array<Found> = []
  let bytes = 0
  let last: Found | undefined
  const why = yield* Effect.try({
    try: () => {
      for (const found of treeBelow(part.root, part.from, part.wanted)) {
        last = found
        const obstacle = part.obstacle(found)
        if (obstacle !== undefined) return obstacle
        if (!part.isKept(found)) continue
        if (!found.isUtf8) return `they hold ${named(found)}, ${notUtf8(found)}`
        const action = entryAction(headerOf(found), "anywhere")
        if (EntryAction.$is("Refuse")(action)) return `they hold ${named(found)}, ${action.why}`
        bytes += found.size + bytesPerEntry
        if (bytes > limits.bytes) return `they have more than ${inMebibytes(limits.bytes)}`
        if (list.push(found) > limits.entries) return `they are more than ${limits.entries}`
      }
      return undefined
    },
    // A directory is found before it is opened, so the one that may not be opened was found last.
    catch: (cause) => codeOf(cause) === "EACCES" && last !== undefined ? unreadable(part, last) : troubleOf(part)(cause)
  })
  if (why !== undefined) return yield* notKept(part, why)
  return list
})

const entryOf = (part: Part) => (found: Found): Tar.Entry<StageFailed> => {
  const { linkTarget, mode, path, type } = headerOf(found)
  if (type === "Directory") return Tar.directory(path)
  if (type === "Symlink") return Tar.symlink(path, linkTarget)
  const body = Stream.unwrap(
    Effect.map(
      Effect.mapError(openFile(part.root, [...part.from, ...found.segments]), () => unreadable(part, found)),
      Option.match({ onNone: () => Stream.empty, onSome: ({ fd }) => contentOf(fd, found.size) })
    )
  )
  return Tar.fileStream(path, found.size, body, { mode })
}

/**
 * Packs the part into `file`; returns what is in it, and its size. Makes no file if there is nothing to pack. Fails if the file would be
 * larger than `roomBytes`.
 */
const pack = Effect.fnUntraced(function*(part: Part, file: string, roomBytes: number) {
  rmSync(file, { force: true })
  const list = yield* listed(part)
  if (list.length === 0) return { list, size: 0 }
  const tar = Stream.fromIterable(list.map(entryOf(part))).pipe(Stream.pipeThroughChannel(Tar.encode()))
  yield* Effect.tryPromise({
    try: (signal) =>
      pipeline(Readable.from(Stream.toAsyncIterable(tar)), createGzip(), createWriteStream(file, { mode: 0o600 }), { signal }),
    catch: troubleOf(part)
  }).pipe(Effect.tapError(() => Effect.sync(() => rmSync(file, { force: true })))) // a part of it would be packed with the plan
  const { size } = statSync(file)
  if (size <= roomBytes) return { list, size }
  rmSync(file)
  return yield* notKept(
    part,
    `packed they have more than ${inMebibytes(roomBytes)}, which is what the plan leaves of ${inMebibytes(planLimitBytes)}`
  )
})

/** The modules of a Git source are a whole checkout: its history is not needed, and is never the same twice. */
const isNoHistory = (segments: Segments): boolean => segments.at(-1) !== ".git"

/** Goes through the modules that `init` brought. `data` is the open directory that the runner shares. */
export const modulesBelow = (data: number): Generator<Found> => treeBelow(data, [engineFolder, modulesFolder], isNoHistory)
/** Returns the names from the directory that the runner shares to something among the modules. */
export const inModules = (segments: Segments): Segments => [engineFolder, modulesFolder, ...segments]

/** What is in the configuration, by path: whether it is a file, directory or link, and its mark. */
export type Marks = ReadonlyMap<string, Pick<Found, "mark" | "type">>

/** Returns what is in the configuration now, to be compared with what is there after the plan. */
export const marksOf = (root: number): Effect.Effect<Marks, StageFailed> =>
  Effect.try({
    try: () => new Map(Array.from(treeBelow(root, [], () => true), (found) => [pathOf(found), found])),
    catch: fileTrouble("the configuration")
  })

/** Reports whether a path may be of a file that planning made: not in the data of an engine, but for modules, and none that we write. */
const mayBeMade = (directory: Segments) => {
  const ours = [savedPlanName, lockFileName, backendFileName].map((name) => [...directory, name].join("/"))
  return (segments: Segments): boolean => {
    const path = segments.join("/")
    const inData = segments.indexOf(".terraform") + 1
    return isNoHistory(segments) && !ours.includes(path) && !path.endsWith(variablesFileName) &&
      (inData === 0 || (segments[inData] ?? "modules") === "modules")
  }
}

const whatWasMade = "The files that planning made or changed"

const kinds = { File: "a file", Directory: "a directory", Symlink: "a link" } as const

/** Returns why the apply's Pod could not put this one back: it replaces files and links of the configuration, but no directory. */
const otherKind = (before: Marks) => (found: Found): string | undefined => {
  const was = before.get(pathOf(found))?.type ?? found.type
  return was === found.type || (was !== "Directory" && found.type !== "Directory")
    ? undefined
    : `${named(found)}, which was ${kinds[was]}, is ${kinds[found.type]} now`
}

/**
 * The most files that the log names. More of the changed ones, because a person who approves the plan may have read them in the archive,
 * where they are as they were.
 */
const mostNamed = { changed: 50, made: 5 } as const

const listOf = (files: ReadonlyArray<string>, most: number): string =>
  files.slice(0, most).join(", ") + (files.length > most ? ` and ${files.length - most} more` : "")

const linesOf = (list: ReadonlyArray<Found>, before: Marks): ReadonlyArray<string> => {
  const files = list.filter(({ type }) => type !== "Directory").map(pathOf)
  const { changed = [], made = [] } = Object.groupBy(files, (path) => before.has(path) ? "changed" : "made")
  return [
    ...changed.length === 0 ? [] : [
      `Planning changed these files of the configuration, and its apply gets them as they are now: ${listOf(changed, mostNamed.changed)}`
    ],
    ...made.length === 0 ? [] : [`Kept with the plan for its apply, since planning made them: ${listOf(made, mostNamed.made)}`]
  ]
}

/**
 * Packs what the apply of the plan in the directory will need, for the package that `packPlan` makes. Fails if there is no room for the
 * modules. If there is none for what planning made since `before`, the log says so, because most plans can be applied without.
 */
export const packCarried = Effect.fn("CarriedFiles.pack")(function*({ directory, root }: Provisioned, before: Marks) {
  const { line } = yield* Log
  const { dataDirectory, privateDirectory } = yield* Settings
  const sizes = yield* Effect.forEach(
    [savedPlanName, lockFileName],
    (name) => Effect.map(openFile(root, [...directory, name]), Option.match({ onNone: () => 0, onSome: ({ size }) => size }))
  )
  const roomBytes = Math.max(0, planLimitBytes - reservedBytes - sizes.reduce((sum, size) => sum + size, 0))
  const modules: Part = {
    root: yield* openFolder(dataDirectory),
    from: inModules([]),
    wanted: isNoHistory,
    isKept: () => true,
    obstacle: () => undefined,
    what: "The modules of the configuration",
    remedy: "leave out of them what the configuration does not need"
  }
  const { size } = yield* pack(modules, join(privateDirectory, modulesArchive), roomBytes)
  const made: Part = {
    root,
    from: [],
    wanted: mayBeMade(directory),
    isKept: (found) => found.type === "Directory" ? !before.has(pathOf(found)) : before.get(pathOf(found))?.mark !== found.mark,
    obstacle: otherKind(before),
    what: whatWasMade,
    remedy: "its apply runs without them"
  }
  yield* pack(made, join(privateDirectory, madeArchive), roomBytes - size).pipe(
    Effect.flatMap(({ list }) => Effect.forEach(linesOf(list, before), line, { discard: true })),
    Effect.catch((error) => error.reason === "DiskFull" ? Effect.fail(error) : line(error.message))
  )
}, Effect.scoped)

/** Returns the paths of the packed archives in the worker's own directory. */
export const carriedArchives = (privateDirectory: string): ReadonlyArray<string> =>
  archives.map((name) => join(privateDirectory, name)).filter((file) => existsSync(file))

/** Returns the path that an entry of this name in a plan's package is written to; undefined if it is none of these archives. */
export const carriedFile = (privateDirectory: string, name: string): string | undefined =>
  archives.some((known) => known === name) ? join(privateDirectory, name) : undefined

const inTheWay = () =>
  invalid(
    `${whatWasMade} cannot be put back into the configuration; plan again, and let planning replace no directory of it by a file, nor the reverse.`
  )

/** Unpacks the archives that came with a plan to where they were packed; `root` is the open directory of the configuration. */
export const bringCarried = Effect.fn("CarriedFiles.bring")(function*(root: number) {
  const { dataDirectory, privateDirectory } = yield* Settings
  const modules = join(privateDirectory, modulesArchive)
  if (existsSync(modules)) {
    const data = yield* openFolder(dataDirectory)
    yield* Effect.try({ try: () => makeFolder(data, inModules([])), catch: fileTrouble(modulesFolder) })
    const engine = yield* openFolder(pathIn(data, engineFolder))
    yield* unpack(modules, yield* openFolder(pathIn(engine, modulesFolder)), limits, "worker")
  }
  const made = join(privateDirectory, madeArchive)
  if (existsSync(made)) {
    yield* Effect.mapError(unpack(made, root, limits, "worker"), (error) => error.reason === "InvalidArchive" ? inTheWay() : error)
  }
}, Effect.scoped)
