// Where the engine has the modules that `init` brought, and the plan: in its own directory, inside of the directory that the runner shares.
// Invariant: the worker follows no link on the way to them or among them.
// Used by the other files here that need one of them, worker/stage/preparation.ts, worker/stage/provision.ts and worker/stage/seal.ts.
import { Effect } from "effect"
import { savedPlanName } from "../../core/stage/stage-commands.ts"
import { fileTrouble, invalid, type StageFailed } from "../stage-failed.ts"
import { pathIn } from "../volume/descriptor.ts"
import { makeFolder, openFolder, type Segments } from "../volume/folder.ts"
import { treeBelow, type TreeTooLarge, type TreeUnreadable } from "../volume/tree.ts"

/** The name of the engine's own directory (TF_DATA_DIR), in the directory that the runner shares. */
export const engineFolder = "engine"
const modulesFolder = "modules"

/** The names from the directory that the runner shares to the saved plan. */
export const planFile: Segments = [engineFolder, savedPlanName]

/** Returns the names from the directory that the runner shares to something among the modules. */
export const inModules = (segments: Segments): Segments => [engineFolder, modulesFolder, ...segments]

/** The modules of a Git source are a whole checkout: its history is not needed, and is never the same twice. */
export const isNoHistory = (segments: Segments): boolean => segments.at(-1) !== ".git"

/** Returns the failure to keep something with a plan, in a sentence that ends with what to do. */
export const notKept = (what: string, remedy: string) => (why: string, first?: string) =>
  invalid(`${what} cannot be kept with the plan, because ${why}; ${first === undefined ? "" : `${first}, or `}${remedy}.`)

/** Returns the failure to list a tree that is not packed; `refused` makes the sentence where there is too much. */
export const notListed = (what: string, refused: (why: string) => StageFailed) => (error: TreeTooLarge | TreeUnreadable): StageFailed =>
  error._tag === "TreeTooLarge" ? refused(error.why) : fileTrouble(what)(error.cause)

/** Lists the modules. `data` is the open directory that the runner shares. */
export const modulesBelow = (data: number) => treeBelow(data, inModules([]), isNoHistory)

/** Returns the failure to keep the modules with a plan; `first` is there to be done before anything else. */
export const modulesNotKept = notKept("The modules of the configuration", "leave out of them what the configuration does not need")

/** Opens the directory of the modules, which it makes if it is missing. */
export const openModules = Effect.fnUntraced(function*(data: number) {
  yield* Effect.try({ try: () => makeFolder(data, inModules([])), catch: fileTrouble(modulesFolder) })
  return yield* openFolder(pathIn(yield* openFolder(pathIn(data, engineFolder)), modulesFolder))
})
