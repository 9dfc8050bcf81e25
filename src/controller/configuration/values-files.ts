// Reads values files as layers: a file is one layer, and a directory has one for each *.yaml, in the order of their names with values.yaml last.
// Invariant: all or nothing; if files cannot be read or decoded, the error lists every problem with its place.
// Used by the controller, the commands that take --values, and the doctor.
import { Array, Data, Effect, Runtime } from "effect"
import { readdir, readFile, realpath, stat } from "node:fs/promises"
import { join } from "node:path"
import { buffer } from "node:stream/consumers"
import { allTold, type Fault } from "../../schema/document/fault.ts"
import type { Layer } from "../../schema/document/layers.ts"
import { saveAsUtf8, utf8Text } from "../../schema/document/utf8-text.ts"
import { yamlLayer } from "../../schema/document/yaml-layer.ts"
import { errorInWords } from "../../schema/system-error.ts"
import { parseLayers, type Values } from "../../schema/values/values.ts"

export class ValuesInvalid
  extends Data.TaggedError("ValuesInvalid")<{ readonly files: ReadonlyArray<string>; readonly faults: ReadonlyArray<Fault> }>
{
  override readonly [Runtime.errorExitCode] = 2
  override get message() {
    return `The values in ${this.files.join(", ")} cannot be used; correct them and start again: ${allTold(this.faults).join("; ")}`
  }
}

/** The name of a file, as shown to people, and its text. */
interface ValuesText {
  readonly file: string
  readonly text: string
}

const last = "values.yaml"
const inOrder = (a: string, b: string): number => Number(a === last) - Number(b === last) || (a < b ? -1 : 1)

/** Reports whether a name is that of a YAML file, and not hidden: editors and systems keep files of their own so, such as `.#values.yaml`. */
const isYaml = (name: string): boolean => /^[^.].*\.ya?ml$/u.test(name)
/** Reports whether a name in a directory or ConfigMap is almost that of a layer. Left out without a word, its values would be missed too late. */
const isMisnamed = (name: string): boolean => name.endsWith(".yml")
const misnamed = (file: string): Fault => ({
  file,
  message: "is no layer, since the name of one ends with .yaml; rename it, or take it away"
})

/**
 * A file to read, and its name, as shown to people. `isLayer` is whether a file of its directory is one by its name, and `isPipe` whether
 * another command writes it, as for `-` and `<(...)`.
 */
interface ValuesFile {
  readonly file: string
  readonly path: string
  readonly isLayer: boolean
  readonly isPipe: boolean
}

const filesIn = async (directory: string): Promise<ReadonlyArray<ValuesFile>> => {
  const data = await realpath(join(directory, "..data")).catch(() => directory) // the kubelet changes all files of a ConfigMap at once, by this link
  const names = (await readdir(data)).filter(isYaml).sort(inOrder)
  if (names.length === 0) throw new Error("no *.yaml file in it")
  return names.map((name) => ({ file: join(directory, name), path: join(data, name), isLayer: !isMisnamed(name), isPipe: false }))
}

/** The path that means standard input. It is never opened by this name, because that fails if it is a socket. */
const standardInput = "/dev/stdin"

const filesOf = async (path: string): Promise<ReadonlyArray<ValuesFile>> => {
  const found = path === standardInput ? undefined : await stat(path)
  if (found?.isDirectory() === true) return filesIn(path)
  return [{ file: path, path, isLayer: true, isPipe: found?.isFIFO() ?? true }]
}

const reading = <A>(file: string, read: () => Promise<A>): Effect.Effect<A, Fault> =>
  Effect.tryPromise({ try: read, catch: (error) => ({ file, message: `cannot be read: ${errorInWords(error)}` }) })

/** The largest file, in characters, which have as many bytes at least. */
const longestText = 1024 * 1024

const readOne = (one: ValuesFile): Effect.Effect<ValuesText, Fault> => one.isLayer ? readLayer(one) : Effect.fail(misnamed(one.file))

const readLayer = ({ file, isPipe, path }: ValuesFile): Effect.Effect<ValuesText, Fault> =>
  reading(file, () => path === standardInput ? buffer(process.stdin) : readFile(path)).pipe(
    Effect.flatMap((bytes) => Effect.fromOption(utf8Text(bytes), () => ({ file, message: `is not UTF-8 text; ${saveAsUtf8}` }))),
    Effect.filterOrFail(
      (text) => text.length <= longestText,
      () => ({ file, message: "is larger than 1 MiB, the most that a ConfigMap holds; check that it is the file you mean" })
    ),
    Effect.filterOrFail( // an empty file has no values, but an empty pipe is what is left of a command that failed
      (text) => !isPipe || text.trim() !== "",
      () => ({ file, message: "is empty, or was read before; see what is piped into this command" })
    ),
    Effect.map((text) => ({ file, text }))
  )

const readPath = (path: string): Effect.Effect<ReadonlyArray<ValuesText>, ReadonlyArray<Fault>> =>
  reading(path, () => filesOf(path)).pipe(
    Effect.mapError((fault) => [fault]),
    Effect.flatMap((files) => Effect.validate(files, readOne, { concurrency: "unbounded" }))
  )

/** Returns the texts of all files that the paths mean, in the order in which they are laid over each other. */
export const readTexts = (paths: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<ValuesText>, ValuesInvalid> =>
  Effect.validate(paths, readPath, { concurrency: "unbounded" }).pipe(
    Effect.map((texts) => texts.flat()),
    Effect.mapError((faults) => new ValuesInvalid({ files: paths, faults: faults.flat() }))
  )

const layersOf = (texts: ReadonlyArray<ValuesText>): Effect.Effect<ReadonlyArray<Layer>, ValuesInvalid> => {
  const read = texts.map(({ file, text }) => yamlLayer(file, text))
  const faults = Array.getFailures(read).flat()
  return faults.length > 0
    ? Effect.fail(new ValuesInvalid({ files: texts.map(({ file }) => file), faults }))
    : Effect.succeed(Array.getSuccesses(read))
}

export const loadLayers = (paths: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Layer>, ValuesInvalid> =>
  Effect.flatMap(readTexts(paths), layersOf)

export interface Loaded {
  readonly layers: ReadonlyArray<Layer>
  readonly values: Values
}

const valuesOf = (layers: ReadonlyArray<Layer>): Effect.Effect<Loaded, ValuesInvalid> =>
  Effect.fromResult(parseLayers(layers)).pipe(
    Effect.mapBoth({
      onSuccess: (values) => ({ layers, values }),
      onFailure: (faults) => new ValuesInvalid({ files: layers.map(({ name }) => name), faults })
    })
  )

/** Returns the values that the paths give together, and the layers from which they are made. */
export const loadValues = (paths: ReadonlyArray<string>): Effect.Effect<Loaded, ValuesInvalid> =>
  Effect.flatMap(loadLayers(paths), valuesOf)

/** Returns the same for the texts of files by their names, as a ConfigMap has them. */
export const valuesIn = (files: Readonly<Record<string, string>>): Effect.Effect<Loaded, ValuesInvalid> => {
  const names = Object.keys(files).filter(isYaml).sort(inOrder)
  const wrong = names.filter(isMisnamed)
  return wrong.length > 0
    ? Effect.fail(new ValuesInvalid({ files: wrong, faults: wrong.map(misnamed) }))
    : Effect.flatMap(layersOf(names.map((file) => ({ file, text: files[file] ?? "" }))), valuesOf)
}
