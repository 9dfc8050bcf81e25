// Puts the configuration into the working directory: its files, the values of its variables and its backend.
// Invariant: an archive is unpacked only after its digest was checked, and no file of the source is written outside of the directory.
// Used by worker/stage/preparation.ts.
import { Effect, Option } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { backendFile, backendFileName, variablesFile, variablesFileAfter } from "../../core/stage/added-files.ts"
import { shortened } from "../../core/text/sentence.ts"
import type { AgentTaskSpec } from "../../schema/task/agent-task.ts"
import type { Backing, Provisioned } from "../backing/backing.ts"
import { engineFolder, inModules } from "../backing/modules-folder.ts"
import { Settings } from "../settings.ts"
import { fileTrouble, invalid, type StageFailed } from "../stage-failed.ts"
import { isFolder, namesIn, newFolder, openFolder, readFile, type Segments, segmentsOf, writeFile } from "../volume/folder.ts"
import type { Variables } from "./variables.ts"

const checkedSegments = (what: string, path: string): Effect.Effect<Segments, StageFailed> =>
  Effect.mapError(
    Effect.fromOption(segmentsOf(path)),
    () => invalid(`${what} ${JSON.stringify(path)} leads outside the configuration; give a relative path without "..".`)
  )

/** The most bytes in the name of a file or directory, which Linux limits. */
const longestName = 255

const fileSegments = (name: string): Effect.Effect<Segments, StageFailed> =>
  Effect.filterOrFail(
    checkedSegments("The file name", name),
    (path) => path.length > 0 && path.every((part) => Buffer.byteLength(part) <= longestName),
    () =>
      invalid(
        `The file name ${
          JSON.stringify(shortened(name, 100))
        } is empty, or longer than ${longestName} bytes between two "/"; give another one.`
      )
  )

const writeAllFiles = (root: number, files: Readonly<Record<string, string | Uint8Array>>): Effect.Effect<void, StageFailed> =>
  Effect.forEach(
    Object.entries(files),
    ([name, content]) => Effect.flatMap(fileSegments(name), (path) => writeFile(root, path, content, "plain")),
    { discard: true }
  )

/** Returns the mounted ConfigMap. Each key is a link into a directory that the kubelet made, whose name begins with two dots. */
const readMounted = Effect.fnUntraced(function*() {
  const { sourceDirectory } = yield* Settings
  const directory = yield* Effect.mapError(
    Effect.fromOption(sourceDirectory),
    () => invalid("The Pod has no mount for the ConfigMap of the source; run the task again.")
  )
  return yield* Effect.try({
    try: () =>
      Object.fromEntries(
        readdirSync(directory).filter((name) => !name.startsWith("..")).map((name) => [name, readFileSync(join(directory, name))])
      ),
    catch: fileTrouble("the mounted ConfigMap")
  })
})

/** The largest index of modules that is read, in bytes: it has some hundred for each module. */
const indexLimitBytes = 16 * 1024 ** 2
const indexName = "modules.json"

/**
 * Tells the engine of the modules that came with the configuration, where a local `init` puts them. They stay there, because their index
 * has their paths from the root module; the engine looks for the index in its own data directory.
 */
const adoptModules = Effect.fnUntraced(function*(root: number, directory: Segments) {
  const { dataDirectory } = yield* Settings
  const index = yield* readFile(root, [...directory, ".terraform", "modules", indexName], indexLimitBytes)
  if (Option.isSome(index)) yield* writeFile(yield* openFolder(dataDirectory), inModules([indexName]), index.value)
})

/** Makes and fills the working directory. `bringSource` brings a configuration that comes as an archive. */
export const provision = Effect.fn("Provision.source")(
  function*(spec: AgentTaskSpec, variables: Variables, bringSource: Backing["bringSource"]) {
    const { dataDirectory } = yield* Settings
    const path = join(dataDirectory, "work")
    yield* newFolder(path)
    const root = yield* openFolder(path)
    if (spec.source.inline !== undefined) yield* writeAllFiles(root, spec.source.inline)
    if (spec.source.configMap !== undefined) yield* writeAllFiles(root, yield* readMounted())
    if (Option.isSome(bringSource)) yield* bringSource.value(root)

    const base = yield* checkedSegments("source.fluxSource.path", spec.source.fluxSource?.path ?? "")
    const directory = [...base, ...yield* checkedSegments("workingDirectory", spec.workingDirectory ?? "")]
    if (!isFolder(root, directory)) {
      return yield* invalid(
        `The source has no directory ${directory.join("/")}; correct ${
          base.length > 0 ? "source.fluxSource.path or " : ""
        }workingDirectory.`
      )
    }
    // An apply gets the modules of its plan, with their index.
    if (spec.plan === undefined && spec.source.savedPlan === undefined) yield* adoptModules(root, directory)
    if (variables.inputs.length > 0) {
      const name = variablesFileAfter(yield* namesIn(root, directory))
      yield* writeFile(root, [...directory, name], variablesFile(variables.inputs))
    }
    const backend = backendOf(spec)
    if (Option.isSome(backend)) yield* writeFile(root, [...directory, backendFileName], backend.value)
    return { root, directory, path: join(path, ...directory) } satisfies Provisioned
  }
)

/** Returns the backend file, if there is one. A pool's state goes through the gateway, whose address is in each command's environment. */
const backendOf = ({ backend, pool }: AgentTaskSpec): Option.Option<string> => {
  if (pool !== undefined) return Option.some(backendFile("http"))
  return backend === undefined ? Option.none() : Option.some(backendFile(backend.type, backend.config))
}

/** Makes the directories of the engine beside the configuration; returns their absolute paths. */
export const makeEngineFolders = Effect.fnUntraced(function*() {
  const { dataDirectory } = yield* Settings
  const folders = { home: join(dataDirectory, "home"), data: join(dataDirectory, engineFolder), temporary: join(dataDirectory, "tmp") }
  yield* Effect.forEach(Object.values(folders), newFolder, { discard: true })
  return folders
})
