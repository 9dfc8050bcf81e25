// Packs a directory into the tar.gz that a run starts from. The same content gives the same bytes: sorted entries, no times, no owners.
// Invariant: nothing from outside of the directory gets in; a link that leads out is an error that names it.
// Used by run.
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, Option, Stream } from "effect"
import { Tar } from "effect/encoding"
import { isUtf8 } from "node:buffer"
import { lstat, readdir, readFile, readlink, realpath, stat } from "node:fs/promises"
import { basename, dirname, isAbsolute, join, normalize, resolve, sep } from "node:path"
import { constants, createGzip } from "node:zlib"
import { type ArchiveSize, archiveSize, entryAction } from "../../core/stage/archive-entry.ts"
import { endings, isConfiguration } from "../../core/stage/configuration-files.ts"
import { upTo } from "../../http/body.ts"
import { saveAsUtf8, utf8Text } from "../../schema/document/utf8-text.ts"
import type { EngineName } from "../../schema/names.ts"
import { codeOf, errorInWords } from "../../schema/system-error.ts"
import { BadInput } from "../terminal/failure.ts"
import { type IgnoreRules, ignoreRules } from "./ignore-rules.ts"

/** `type` as effect/encoding has it; `path` is relative with "/" between its parts; `mode` has the permission bits of a file. */
type Entry =
  | { readonly type: "File"; readonly path: string; readonly mode: number; readonly sizeBytes: number }
  | { readonly type: "Directory"; readonly path: string; readonly mode: 0 }
  | { readonly type: "Symlink"; readonly path: string; readonly mode: 0; readonly linkTarget: string }

export interface Archive {
  readonly bytes: Uint8Array
  readonly files: number
  /** Total size of the files, before compression. */
  readonly contentBytes: number
}

/** The largest archive, compressed: larger than any real configuration, and small enough to harm neither this program nor the server. */
const maxArchiveBytes = 100 * 1024 * 1024

const problemOf = (error: unknown): string => {
  const code = codeOf(error)
  return code === "EACCES" || code === "EPERM"
    ? "permission denied"
    : code === "ENOENT"
    ? "it vanished while it was read"
    : errorInWords(error)
}

const reading = <A>(path: string, read: () => Promise<A>) =>
  Effect.tryPromise({
    try: read,
    catch: (error) =>
      new BadInput({ message: `Cannot read ${path}: ${problemOf(error)}; correct that, or name it at the end of .terraformignore.` })
  })

/** Reports whether the target of the link at `path`, resolved from the link's directory, stays under the root. */
export const staysInside = (path: string, target: string): boolean => {
  const lands = normalize(join(dirname(path), target))
  return !isAbsolute(target) && lands !== ".." && !lands.startsWith(`..${sep}`)
}

const leadsOut = (path: string, target: string) =>
  new BadInput({
    message: `${path} is a link to ${target}, outside of the directory; put a copy in its place, or name it in .terraformignore.`
  })

/** Fails when a link leads out of the root. A target that exists must be inside also after every link on the way to it is followed. */
const checkLink = Effect.fnUntraced(function*(root: string, path: string, target: string) {
  if (!staysInside(path, target)) return yield* leadsOut(path, target)
  const real = yield* Effect.option(Effect.tryPromise(() => realpath(join(root, path))))
  if (real._tag === "Some" && real.value !== root && !real.value.startsWith(root + sep)) return yield* leadsOut(path, target)
})

/** No text has the name, so that neither the file is found by it nor the archive could hold it. */
const notUtf8 = (name: string, path: string) =>
  new BadInput({ message: `The name ${name} is not UTF-8; rename it, or name ${path} in .terraformignore.` })

/** Returns the entries of the archive in the order of their names, each directory before its content. */
const entriesOf = (root: string, rules: IgnoreRules, directory = ""): Effect.Effect<ReadonlyArray<Entry>, BadInput> =>
  Effect.gen(function*() {
    const found = yield* reading(directory || root, () => readdir(join(root, directory), { withFileTypes: true, encoding: "buffer" }))
    const named = found.map((entry) => ({ entry, name: entry.name.toString() }))
    const perEntry = named.toSorted((a, b) => a.name < b.name ? -1 : 1).map(Effect.fnUntraced(function*({ entry, name }) {
      const path = directory === "" ? name : `${directory}/${name}`
      const excluded = rules.excludes(path, entry.isDirectory())
      if (entry.isDirectory() ? rules.prunes(path) : excluded) return []
      if (!isUtf8(entry.name)) return yield* notUtf8(`of ${path}`, "it")
      if (entry.isDirectory()) {
        const below = yield* entriesOf(root, rules, path)
        return excluded ? below : [{ type: "Directory", path, mode: 0 }, ...below] satisfies ReadonlyArray<Entry>
      }
      if (entry.isSymbolicLink()) {
        const bytes = yield* reading(path, () => readlink(join(root, path), { encoding: "buffer" }))
        if (!isUtf8(bytes)) return yield* notUtf8(`that ${path} leads to`, path)
        const linkTarget = bytes.toString()
        yield* checkLink(root, path, linkTarget)
        return [{ type: "Symlink", path, mode: 0, linkTarget }] satisfies ReadonlyArray<Entry>
      }
      if (!entry.isFile()) {
        return yield* new BadInput({ message: `${path} is neither a file, a directory nor a link; name it in .terraformignore.` })
      }
      const { mode, size } = yield* reading(path, () => lstat(join(root, path)))
      return [{ type: "File", path, mode: mode & 0o100 ? 0o755 : 0o644, sizeBytes: size }] satisfies ReadonlyArray<Entry>
    }))
    return (yield* Effect.all(perEntry)).flat()
  })

/** Fails at the first entry that a stage would refuse to unpack, which its user would learn only from the Pod. */
const checkEntries = (directory: string, entries: ReadonlyArray<Entry>) =>
  Effect.forEach(entries, (entry) => {
    const action = entryAction(entry)
    return action._tag === "Refuse"
      ? Effect.fail(
        new BadInput({
          message: `No run can unpack ${directory}: it holds ${
            JSON.stringify(entry.path)
          }, ${action.why}; change that, or name it in .terraformignore.`
        })
      )
      : Effect.void
  }, { discard: true })

const tarBlockBytes = 512
/** How many bytes the entry takes in the tar at least. */
const tarBytes = (entry: Entry): number =>
  tarBlockBytes + (entry.type === "File" ? Math.ceil(entry.sizeBytes / tarBlockBytes) * tarBlockBytes : 0)

/** Fails if there is more than a stage unpacks, before any of it is read. */
const checkSize = (directory: string, entries: ReadonlyArray<Entry>, most: ArchiveSize) =>
  entries.length <= most.entries && entries.reduce((sum, entry) => sum + tarBytes(entry), 0) <= most.bytes
    ? Effect.void
    : Effect.fail(
      new BadInput({
        message: `No run can unpack ${directory}: it holds more than ${most.entries} files, directories and links, or more than ${
          most.bytes / 1024 ** 2
        } MiB; name what a run does not need in .terraformignore, beginning with downloads and build outputs.`
      })
    )

const tarEntry = Effect.fnUntraced(function*(root: string, entry: Entry) {
  switch (entry.type) {
    case "Directory":
      return Tar.directory(entry.path)
    case "Symlink":
      return Tar.symlink(entry.path, entry.linkTarget)
    case "File":
      return Tar.file(entry.path, yield* reading(entry.path, () => readFile(join(root, entry.path))), { mode: entry.mode })
  }
})

const tooLarge = (directory: string) =>
  new BadInput({
    message: `${directory} is more than ${
      maxArchiveBytes / 1024 / 1024
    } MB even when compressed; name what a run does not need in .terraformignore, beginning with downloads and build outputs.`
  })

/**
 * Compresses at the fastest level, as other clients of this API do, because the network is faster than a better compression. Reads no further
 * once it is too large.
 */
const compressed = (directory: string, tar: Stream.Stream<Uint8Array, BadInput | Tar.TarError>) =>
  tar.pipe(
    NodeStream.pipeThroughDuplex({
      evaluate: () => createGzip({ level: constants.Z_BEST_SPEED }),
      onError: (error) => new BadInput({ message: `Cannot compress ${directory}: ${problemOf(error)}; repeat the command.` })
    }),
    upTo(maxArchiveBytes, () => tooLarge(directory)),
    Stream.runCollect,
    Effect.map((chunks) => Buffer.concat(chunks))
  )

const noConfiguration = (directory: string, below: string, tofu: boolean) =>
  new BadInput({
    message: `There is no configuration in ${directory}${
      below === "" ? "" : `, nor in ${below}, where its workspace works`
    }: no file there ends in ${endings(tofu)}; name the directory that has them.`
  })

/** Returns the directory's path without links. Fails if there is none, or something else, or it may not be read. */
export const rootOf = Effect.fnUntraced(function*(directory: string) {
  const { is, root } = yield* Effect.tryPromise({
    try: async () => {
      const [root, is] = [await realpath(directory), await stat(directory)]
      if (is.isDirectory()) await readdir(root)
      return { root, is }
    },
    catch: (error) =>
      new BadInput({
        message: codeOf(error) === "ENOENT"
          ? `There is no directory ${directory}; name the one that has the configuration.`
          : `Cannot read ${directory}: ${problemOf(error)}; name a directory that you may read.`
      })
  })
  if (is.isDirectory()) return root
  return yield* new BadInput({ message: `${directory} is not a directory; name the one that has the configuration.` })
})

/** Reads the rules. What they keep from the server may be secret, so that a file with rules that cannot be read is not one without rules. */
const rulesOf = Effect.fnUntraced(function*(root: string) {
  const path = join(root, ".terraformignore")
  const bytes = yield* Effect.tryPromise({
    try: async () => {
      const is = await stat(path).catch((error: unknown) => codeOf(error) === "ENOENT" ? undefined : Promise.reject(error))
      if (is === undefined) return Buffer.of()
      if (!is.isFile() && !is.isCharacterDevice()) throw new Error("it is not a file") // to read a named pipe would take until somebody writes to it
      return readFile(path)
    },
    catch: (error) => new BadInput({ message: `Cannot read ${path}: ${problemOf(error)}; correct that.` })
  })
  const text = utf8Text(bytes)
  if (Option.isNone(text)) {
    return yield* new BadInput({ message: `.terraformignore is not UTF-8 text, so its rules cannot be used; ${saveAsUtf8}.` })
  }
  return yield* Effect.mapError(Effect.fromResult(ignoreRules(text.value)), ({ line, rule }) =>
    new BadInput({
      message:
        `.terraformignore:${line}: ${rule} cannot be used as a rule: a range such as [a-z] goes from the lower to the higher character, and no class such as [[:digit:]] is known; correct that line.`
    }))
})

/**
 * Packs the directory. Fails if it is no directory, has no configuration, holds something that cannot be archived, or is too large.
 * `workingDirectory` is the one of its workspace, relative to it, and is asked for only where there is a configuration below the directory,
 * and none in it. Without an engine, either may run it.
 */
export const archiveOf = Effect.fn("archiveOf")(function*<E, R>(
  directory: string,
  workingDirectory: Effect.Effect<string, E, R>,
  engine: Option.Option<EngineName> = Option.none(),
  most: ArchiveSize = archiveSize
) {
  const root = yield* rootOf(directory)
  const entries = yield* entriesOf(root, yield* rulesOf(root))
  const files = entries.filter((entry) => entry.type === "File")
  const tofu = !Option.contains(engine, "terraform")
  const named = entries.filter(({ path, type }) => type !== "Directory" && isConfiguration(basename(path), tofu))
  const configured = new Set(named.map(({ path }) => dirname(path)))
  if (!configured.has(".")) {
    const below = configured.size === 0 ? "." : join(yield* workingDirectory, ".") // without "/" at its end
    if (!configured.has(below)) return yield* noConfiguration(directory, below === "." ? "" : below, tofu)
  }
  yield* checkSize(directory, entries, most)
  yield* checkEntries(directory, entries)
  const tar = Stream.fromIterable(entries).pipe(Stream.mapEffect((entry) => tarEntry(root, entry)), Stream.pipeThroughChannel(Tar.encode()))
  const bytes = yield* compressed(directory, tar).pipe(
    Effect.catchTag(
      "TarError",
      ({ message }) =>
        Effect.fail(
          new BadInput({ message: `Cannot archive ${directory}: ${message}; rename that entry, or name it in .terraformignore.` })
        )
    )
  )
  return { bytes, files: files.length, contentBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) } satisfies Archive
})

/** Returns the last part of the directory's absolute path, so that "." has a name too. */
export const nameOfDirectory = (directory: string): string => basename(resolve(directory))
