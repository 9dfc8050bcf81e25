// Values files, read as layers: a file is one, a directory one for each of its *.yaml, in the order of their names with values.yaml last.
// Invariant: all or nothing; what cannot be read or decoded is told in full, with the place of each problem.
// Used by the controller and by the commands that take --values.
import { Data, Effect, Result, Runtime } from "effect"
import { readdir, readFile, realpath, stat } from "node:fs/promises"
import { join } from "node:path"
import type { Layer } from "../schema/layers.ts"
import { parseLayers, type Values } from "../schema/values.ts"
import { yamlLayer } from "../schema/yaml-layer.ts"

export class ValuesInvalid extends Data.TaggedError("ValuesInvalid")<{ readonly files: ReadonlyArray<string>; readonly problems: ReadonlyArray<string> }> {
  override readonly [Runtime.errorExitCode] = 2
  override get message() {
    return `The values in ${this.files.join(", ")} cannot be used; correct them and start again: ${this.problems.join("; ")}`
  }
}

/** A file by its name for people, and its text. */
export interface ValuesText {
  readonly file: string
  readonly text: string
}

const last = "values.yaml"
const inOrder = (a: string, b: string): number => Number(a === last) - Number(b === last) || (a < b ? -1 : 1)

const readDirectory = async (directory: string): Promise<ReadonlyArray<ValuesText>> => {
  const data = await realpath(join(directory, "..data")).catch(() => directory) // the kubelet changes all files of a ConfigMap at once, by that link
  const names = (await readdir(data)).filter((name) => name.endsWith(".yaml")).sort(inOrder)
  if (names.length === 0) throw new Error(`${directory} has no *.yaml file`)
  return Promise.all(names.map(async (name) => ({ file: join(directory, name), text: await readFile(join(data, name), "utf8") })))
}

const read = async (path: string): Promise<ReadonlyArray<ValuesText>> =>
  (await stat(path)).isDirectory() ? readDirectory(path) : [{ file: path, text: await readFile(path, "utf8") }]

/** The texts of all files that the paths mean, in the order in which they are laid over each other. */
export const readTexts = (paths: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<ValuesText>, ValuesInvalid> =>
  Effect.tryPromise({
    try: async () => (await Promise.all(paths.map(read))).flat(),
    catch: (error) => new ValuesInvalid({ files: paths, problems: [error instanceof Error ? error.message : String(error)] })
  })

export const layersOf = (texts: ReadonlyArray<ValuesText>): Effect.Effect<ReadonlyArray<Layer>, ValuesInvalid> => {
  const [faults, layers] = [[] as Array<string>, [] as Array<Layer>]
  for (const { file, text } of texts) Result.match(yamlLayer(file, text), { onFailure: (_) => faults.push(..._), onSuccess: (_) => layers.push(_) })
  return faults.length > 0 ? Effect.fail(new ValuesInvalid({ files: texts.map(({ file }) => file), problems: faults })) : Effect.succeed(layers)
}

export const valuesOf = (layers: ReadonlyArray<Layer>): Effect.Effect<Values, ValuesInvalid> =>
  Effect.mapError(Effect.fromResult(parseLayers(layers)), (problems) => new ValuesInvalid({ files: layers.map(({ name }) => name), problems }))

export const loadLayers = (paths: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Layer>, ValuesInvalid> => Effect.flatMap(readTexts(paths), layersOf)

export const loadValues = (paths: ReadonlyArray<string>): Effect.Effect<Values, ValuesInvalid> => Effect.flatMap(loadLayers(paths), valuesOf)
