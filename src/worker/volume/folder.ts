// Files and directories on a volume that the runner writes to as well: reached step by step from an open descriptor, never through links.
// Invariant: segments never lead outside of the directory that they start in, whatever the runner does meanwhile.
// Used by worker/stage/provision, worker/volume/archive and the other parts of the worker that write or read where the runner does.
import { Effect, Option, Stream } from "effect"
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  mkdirSync,
  opendirSync,
  openSync,
  readlinkSync,
  readSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeSync
} from "node:fs"
import { codeOf } from "../../schema/system-error.ts"
import { fileTrouble, invalid, type StageFailed } from "../stage-failed.ts"
import { openDirectory, pathIn, untilScopeCloses, using } from "./descriptor.ts"

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = constants

/**
 * These modes are set whatever the umask is, because worker and runner may be different users of one group. A directory of `newFolder` lets
 * nobody else in. What is of the configuration below it anybody may read, because what is made of it keeps its modes and is used elsewhere,
 * as the zip of a function or an image.
 */
const directoryMode = { top: 0o2770, below: 0o2775 } as const
const fileMode = { ours: 0o660, plain: 0o664, executable: 0o775 } as const
/** Whether a file is the worker's own, which may have secrets, or of the configuration, plain or executable. */
export type FileKind = keyof typeof fileMode

/** Names below a directory, none of them empty, `.` or `..`. */
export type Segments = ReadonlyArray<string>

/** Returns the names in a relative path; none if the path is absolute or contains `..` or a NUL byte. */
export const segmentsOf = (path: string): Option.Option<Segments> => {
  const names = path.split("/").filter((name) => name !== "" && name !== ".")
  return path.startsWith("/") || path.includes("\0") || names.includes("..") ? Option.none() : Option.some(names)
}

/** The error codes where nothing is at a path, or a link or file is in its way. */
const missing: ReadonlyArray<string> = ["ENOENT", "ENOTDIR", "ELOOP"]

/** Returns what `call` returns, or `otherwise` if that fails with one of these codes. */
const unlessFails = <A>(codes: ReadonlyArray<string>, call: () => A, otherwise: A): A => {
  try {
    return call()
  } catch (error) {
    if (codes.includes(codeOf(error))) return otherwise
    throw error
  }
}

const make = (path: string, where: keyof typeof directoryMode): void => {
  mkdirSync(path)
  using(openDirectory(path), (fd) => fchmodSync(fd, directoryMode[where]))
}

/** Is told of each directory that is made. */
type Made = () => void
const untold: Made = () => undefined

/** Opens a directory, which it makes if there is none: mostly there is, and each error costs more than the rest. */
const openOrMake = (made: Made) => (path: string): number =>
  unlessFails(["ENOENT"], () => openDirectory(path), undefined) ?? makeAndOpen(path, made)

const makeAndOpen = (path: string, made: Made): number => {
  unlessFails(["EEXIST"], () => (make(path, "below"), made()), undefined)
  return openDirectory(path)
}

/** Opens the directory at `segments` below `parent`, and each above it, by `open`; closes it after use. */
const enter = <A>(parent: number, segments: Segments, use: (directory: number) => A, open: (path: string) => number = openDirectory): A => {
  const [first, ...rest] = segments
  return first === undefined ? use(parent) : using(open(pathIn(parent, first)), (child) => enter(child, rest, use, open))
}

/** Opens the directory at `segments`; returns a descriptor that the caller closes, or undefined if there is none. */
export const openBelow = (root: number, segments: Segments): number | undefined =>
  unlessFails(missing, () => enter(root, segments, (directory) => openDirectory(pathIn(directory, "."))), undefined)

/** Gives `use` a path that goes through no link but, maybe, at its end. */
const inParent = <A>(root: number, segments: Segments, use: (path: string) => A, open?: (path: string) => number): A =>
  enter(root, segments.slice(0, -1), (directory) => use(pathIn(directory, segments.at(-1) ?? "")), open)

/** Makes the directory and those above it. Throws the file system's error, as do the other functions here that return no Effect. */
export const makeFolder = (root: number, segments: Segments, made = untold): void =>
  enter(root, segments, () => undefined, openOrMake(made))

/** Makes a file and the directories above it; returns a descriptor to write to. `replace` overwrites a file that is there, never a link. */
export const createFile = (
  root: number,
  segments: Segments,
  options: { readonly kind: FileKind; readonly replace: boolean },
  made = untold
): number =>
  inParent(root, segments, (path) => {
    const fd = openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | (options.replace ? O_TRUNC : O_EXCL))
    fchmodSync(fd, fileMode[options.kind])
    return fd
  }, openOrMake(made))

const writeAll = (fd: number, bytes: Uint8Array): void => {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at)
}

/** Writes what streams in to the descriptor that `open` returns, and closes it. */
export const writeStream = <E, R>(
  open: () => number,
  bytes: Stream.Stream<Uint8Array, E, R>,
  trouble: (cause: unknown) => StageFailed
): Effect.Effect<void, E | StageFailed, R> =>
  Effect.acquireUseRelease(
    Effect.try({ try: open, catch: trouble }),
    (fd) => Stream.runForEach(bytes, (chunk) => Effect.try({ try: () => writeAll(fd, chunk), catch: trouble })),
    (fd) => Effect.sync(() => closeSync(fd))
  )

/** Makes a symbolic link. The caller checks where the link leads. */
export const makeLink = (root: number, segments: Segments, target: string, made: Made): void =>
  inParent(root, segments, (path) => symlinkSync(target, path), openOrMake(made))

/** Opens a directory; returns its descriptor, which is closed with the scope. */
export const openFolder = (path: string) => untilScopeCloses(Effect.try({ try: () => openDirectory(path), catch: fileTrouble(path) }))

/** Makes a directory that must not be there yet. */
export const newFolder = (path: string): Effect.Effect<void, StageFailed> =>
  Effect.try({ try: () => make(path, "top"), catch: fileTrouble(path) })

export const writeFile = (
  root: number,
  segments: Segments,
  content: string | Uint8Array,
  kind: FileKind = "ours"
): Effect.Effect<void, StageFailed> =>
  Effect.try({
    try: () => using(createFile(root, segments, { kind, replace: true }), (fd) => writeAll(fd, Buffer.from(content))),
    catch: fileTrouble(segments.join("/"))
  })

/** The error code of `open` for a UNIX socket. */
const aSocket = "ENXIO"

/** Opens a regular file to read; returns its descriptor, which the caller closes, and its size. None if there is no regular file. */
const openRegular = (root: number, segments: Segments): Option.Option<{ readonly fd: number; readonly size: number }> =>
  unlessFails([...missing, aSocket], () => {
    const fd = inParent(root, segments, (path) => openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK))
    const stat = fstatSync(fd)
    if (stat.isFile()) return Option.some({ fd, size: stat.size })
    closeSync(fd)
    return Option.none()
  }, Option.none())

/** Opens a regular file to read until the scope closes; returns its descriptor and its size. None if there is no regular file. */
export const openFile = (root: number, segments: Segments) =>
  Effect.acquireRelease(
    Effect.try({ try: () => openRegular(root, segments), catch: fileTrouble(segments.join("/")) }),
    Option.match({ onNone: () => Effect.void, onSome: ({ fd }) => Effect.sync(() => closeSync(fd)) })
  )

/** Reads a file in chunks, at most `limit` bytes of it, since the runner may go on writing. Throws the file system's error. */
export function* chunksOf(fd: number, limit: number): Generator<Uint8Array, undefined> {
  for (let left = limit; left > 0;) {
    const buffer = Buffer.alloc(Math.min(left, 64 * 1024))
    const length = readSync(fd, buffer)
    if (length === 0) return
    yield buffer.subarray(0, length)
    left -= length
  }
}

/** Streams a file in chunks, at most `limit` bytes of it, because the worker does not have the memory for a whole plan. */
export const contentOf = (fd: number, limit: number, trouble: (cause: unknown) => StageFailed): Stream.Stream<Uint8Array, StageFailed> =>
  Stream.unfold(chunksOf(fd, limit), (chunks) =>
    Effect.try({
      try: () => {
        const { value } = chunks.next()
        return value && [value, chunks] as const
      },
      catch: trouble
    }))

/** Returns the content of a regular file of at most `limit` bytes; none if there is no regular file, or it is larger. */
export const readFile = (root: number, segments: Segments, limit: number): Effect.Effect<Option.Option<Uint8Array>, StageFailed> =>
  Effect.gen(function*() {
    const found = yield* openFile(root, segments)
    if (Option.isNone(found) || found.value.size > limit) return Option.none()
    const { fd, size } = found.value
    return Option.some(yield* Effect.try({ try: () => Buffer.concat([...chunksOf(fd, size)]), catch: fileTrouble(segments.join("/")) }))
  }).pipe(Effect.scoped)

/** The error code of `readlink` for something that is there and no link. */
const noLink = "EINVAL"

/** Returns where a link in the directory leads; undefined if that is out of `root`, or up from where another link leads. */
const followed = (root: number, directory: Segments, target: string): Segments | undefined => {
  const reached = [...directory]
  for (const name of target.split("/")) {
    if (name === ".." && (!isFolder(root, reached) || reached.pop() === undefined)) return undefined
    if (!["", ".", ".."].includes(name)) reached.push(name)
  }
  return reached
}

/** Returns where the link at the path leads; none if there is no link, or where `followed` returns none. */
export const linkedTo = (root: number, segments: Segments): Effect.Effect<Option.Option<Segments>, StageFailed> =>
  Effect.try({
    try: () =>
      unlessFails([...missing, noLink], () => {
        const target = inParent(root, segments, (path) => readlinkSync(path))
        return target.startsWith("/") ? Option.none() : Option.fromUndefinedOr(followed(root, segments.slice(0, -1), target))
      }, Option.none()),
    catch: fileTrouble(segments.join("/"))
  })

const remove = (root: number, segments: Segments): void => unlessFails(missing, () => inParent(root, segments, unlinkSync), undefined)

/** Removes a file or link; does nothing if there is none. */
export const removeFile = (root: number, segments: Segments): Effect.Effect<void, StageFailed> =>
  Effect.try({ try: () => remove(root, segments), catch: fileTrouble(segments.join("/")) })

/** Makes a file in the place of the file or link that is there; returns a descriptor to write to. */
export const replaceFile = (root: number, segments: Segments, kind: FileKind): number => {
  remove(root, segments)
  return createFile(root, segments, { kind, replace: false })
}

/** Renames a file or link that is directly in `root`; does nothing if there is none. */
export const renameFile = (root: number, from: string, to: string): Effect.Effect<void, StageFailed> =>
  Effect.try({
    try: () => unlessFails(missing, () => renameSync(pathIn(root, from), pathIn(root, to)), undefined),
    catch: fileTrouble(from)
  })

/** The most names that the worker reads at all: the runner may make any number of them. */
export const mostNames = 200_000

/** Returns at most so many names in the directory at `path`, whatever their order. Throws the file system's error. */
export const firstNames = (path: string, most: number): ReadonlyArray<string> => {
  const directory = opendirSync(path)
  try {
    const names: Array<string> = []
    for (let found = directory.readSync(); found !== null && names.length < most; found = directory.readSync()) names.push(found.name)
    return names
  } finally {
    directory.closeSync()
  }
}

const directoryOf = (segments: Segments): string => segments.length === 0 ? "The top directory" : `The directory ${segments.join("/")}`

/** Returns the names in a directory of the configuration. Fails if there are more than `most`. */
export const namesIn = (root: number, segments: Segments, most = mostNames): Effect.Effect<ReadonlyArray<string>, StageFailed> =>
  Effect.filterOrFail(
    Effect.try({
      try: () => enter(root, segments, (directory) => firstNames(pathIn(directory, "."), most + 1)),
      catch: fileTrouble(segments.join("/"))
    }),
    (names) => names.length <= most,
    () => invalid(`${directoryOf(segments)} of the configuration has more than ${most} files; leave out what is not configuration.`)
  )

/** Reports whether there is a directory that is reached through directories alone, not through links. */
export const isFolder = (root: number, segments: Segments): boolean => {
  try {
    return enter(root, segments, () => true)
  } catch {
    return false
  }
}
