// Where the engine has the modules that `init` brought: in its own directory, inside of the directory that the runner shares.
// Invariant: the worker follows no link on the way to them or among them.
// Used by worker/backing/carried-files.ts, worker/stage/provision.ts and worker/stage/seal.ts.
import { Effect } from "effect"
import { fileTrouble } from "../stage-failed.ts"
import { pathIn } from "../volume/descriptor.ts"
import { makeFolder, openFolder, type Segments } from "../volume/folder.ts"
import { treeBelow, type TreeEntry } from "../volume/tree.ts"

/** The name of the engine's own directory (TF_DATA_DIR), in the directory that the runner shares. */
export const engineFolder = "engine"
const modulesFolder = "modules"

/** Returns the names from the directory that the runner shares to something among the modules. */
export const inModules = (segments: Segments): Segments => [engineFolder, modulesFolder, ...segments]

/** The modules of a Git source are a whole checkout: its history is not needed, and is never the same twice. */
export const isNoHistory = (segments: Segments): boolean => segments.at(-1) !== ".git"

/** Goes through the modules. `data` is the open directory that the runner shares. */
export const modulesBelow = (data: number): Generator<TreeEntry> => treeBelow(data, inModules([]), isNoHistory)

/** Opens the directory of the modules, which it makes if it is missing. */
export const openModules = Effect.fnUntraced(function*(data: number) {
  yield* Effect.try({ try: () => makeFolder(data, inModules([])), catch: fileTrouble(modulesFolder) })
  return yield* openFolder(pathIn(yield* openFolder(pathIn(data, engineFolder)), modulesFolder))
})
