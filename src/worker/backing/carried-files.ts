// What an apply needs beside plan and archive: the modules that `init` brought, and what planning made in the configuration.
// Invariant: the worker follows no link in them; what does not fit into the package is told before anybody approves the plan.
// Used by worker/stage/preparation.ts, worker/stage/stage.ts and worker/backing/saved-plan.ts.
import { Effect, Option } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { backendFileName, variablesFileName } from "../../core/stage/added-files.ts"
import { lockFileName } from "../../core/stage/stage-commands.ts"
import { planLimitBytes } from "../../schema/api/task-api.ts"
import { Log } from "../engine/log-shipper.ts"
import { Settings } from "../settings.ts"
import { invalid, type StageFailed } from "../stage-failed.ts"
import { named, unpack } from "../volume/archive.ts"
import { openFile, openFolder, type Segments } from "../volume/folder.ts"
import { inMebibytes } from "../volume/mebibytes.ts"
import { packedLimits, type PackedPart, packTree } from "../volume/pack-tree.ts"
import { pathBelow, treeBelow, type TreeEntry } from "../volume/tree.ts"
import type { Provisioned } from "./backing.ts"
import { inModules, isNoHistory, modulesBelow, modulesNotKept, notKept, notListed, openModules, planFile } from "./modules-folder.ts"

const modulesArchive = "modules.tar.gz"
const madeArchive = "made.tar.gz"
/** The names of the archives inside a plan's package, and in the worker's own directory; each is there if it has something in it. */
export const carriedArchives: ReadonlyArray<string> = [modulesArchive, madeArchive]

/** Room in the package for the seal and for what a tar adds. */
const reservedBytes = 1024 ** 2 + 64 * 1024

/** What is in a tree, by path: whether it is a file, directory or link, and its mark. */
export type Marks = ReadonlyMap<string, Pick<TreeEntry, "mark" | "type">>

const byPath = (list: ReadonlyArray<TreeEntry>): Marks => new Map(list.map((found) => [pathBelow(found), found]))

/** Returns what is in the configuration now, to be compared with what is there after the plan. */
export const marksOf = (root: number): Effect.Effect<Marks, StageFailed> =>
  treeBelow(root, [], () => true).pipe(
    Effect.map(byPath),
    Effect.mapError(notListed("the configuration", notKept("The files of the configuration", "leave out what is not configuration")))
  )

const whatModules = "the modules of the configuration"

/** Returns the same of the modules, to be asked for once `init` has brought them. */
export const marksOfModules = Effect.gen(function*() {
  const { dataDirectory } = yield* Settings
  return byPath(yield* Effect.mapError(modulesBelow(yield* openFolder(dataDirectory)), notListed(whatModules, modulesNotKept)))
}).pipe(Effect.scoped)

/** What an engine has in `.terraform`, were it not told of another folder for its data, but for modules. All else there is of who planned. */
const engineData = ["environment", "plugins", "providers", "terraform.tfstate"]

/** Reports whether a path may be of a file that planning made: not of the data of an engine, and none that we write. */
const mayBeMade = (directory: Segments) => {
  const ours = [lockFileName, backendFileName].map((name) => [...directory, name].join("/"))
  return (segments: Segments): boolean => {
    const path = segments.join("/")
    const inData = segments.indexOf(".terraform") + 1
    return isNoHistory(segments) && !ours.includes(path) && !path.endsWith(variablesFileName) &&
      (inData === 0 || !engineData.includes(segments[inData] ?? ""))
  }
}

const whatWasMade = "The files that planning made or changed"

const kinds = { File: "a file", Directory: "a directory", Symlink: "a link" } as const

/** Returns why the apply's Pod could not put this one back: it replaces files and links of the configuration, but no directory. */
const otherKind = (before: Marks) => (found: TreeEntry): string | undefined => {
  const was = before.get(pathBelow(found))?.type ?? found.type
  return was === found.type || (was !== "Directory" && found.type !== "Directory")
    ? undefined
    : `${named(pathBelow(found))}, which was ${kinds[was]}, is ${kinds[found.type]} now`
}

/**
 * The most files that the log names. More of the changed ones, because a person who approves the plan may have read them in the archive,
 * where they are as they were.
 */
const mostNamed = { changed: 50, made: 5 } as const

/** Reports whether it is not as it was, or was not there. */
const isOther = (before: Marks) => (found: TreeEntry): boolean =>
  found.type === "Directory" ? !before.has(pathBelow(found)) : before.get(pathBelow(found))?.mark !== found.mark

/** `at` is where the paths begin, with a slash at its end. */
const linesOf = (list: ReadonlyArray<TreeEntry>, before: Marks, at = ""): ReadonlyArray<string> => {
  const files = list.filter(({ type }) => type !== "Directory").map(pathBelow)
  const { changed = [], made = [] } = Object.groupBy(files, (path) => before.has(path) ? "changed" : "made")
  const listOf = (paths: ReadonlyArray<string>, most: number): string =>
    paths.slice(0, most).map((path) => `${at}${path}`).join(", ") + (paths.length > most ? ` and ${paths.length - most} more` : "")
  return [
    ...changed.length === 0 ? [] : [
      `Planning changed these files of the configuration, and its apply gets them as they are now: ${listOf(changed, mostNamed.changed)}`
    ],
    ...made.length === 0 ? [] : [`Kept with the plan for its apply, since planning made them: ${listOf(made, mostNamed.made)}`]
  ]
}

/**
 * Packs what the apply of the plan will need, for the package that `packPlan` makes. Fails if there is no room for the
 * modules. If there is none for what planning made since `before`, the log says so, because most plans can be applied without.
 * `broughtModules` are the modules as `init` left them.
 */
export const packCarried = Effect.fn("CarriedFiles.pack")(function*(
  { directory, root }: Provisioned,
  before: Marks,
  broughtModules: Marks
) {
  const { line } = yield* Log
  const { dataDirectory, privateDirectory } = yield* Settings
  const data = yield* openFolder(dataDirectory)
  const sizes = yield* Effect.forEach(
    [openFile(data, planFile), openFile(root, [...directory, lockFileName])],
    Effect.map(Option.match({ onNone: () => 0, onSome: ({ size }) => size }))
  )
  const left = `what the plan leaves of ${inMebibytes(planLimitBytes)}`
  const roomBytes = Math.max(0, planLimitBytes - reservedBytes - sizes.reduce((sum, size) => sum + size, 0))
  const modules: PackedPart = {
    root: data,
    from: inModules([]),
    wanted: isNoHistory,
    isKept: () => true,
    obstacle: () => undefined,
    what: whatModules,
    refused: modulesNotKept
  }
  const { list, size } = yield* packTree(modules, join(privateDirectory, modulesArchive), { bytes: roomBytes, left })
  yield* Effect.forEach(linesOf(list.filter(isOther(broughtModules)), broughtModules, ".terraform/modules/"), line, { discard: true })
  const made: PackedPart = {
    root,
    from: [],
    wanted: mayBeMade(directory),
    isKept: isOther(before),
    obstacle: otherKind(before),
    what: whatWasMade.toLowerCase(),
    refused: notKept(whatWasMade, "its apply runs without them")
  }
  yield* packTree(made, join(privateDirectory, madeArchive), { bytes: roomBytes - size, left }).pipe(
    Effect.flatMap(({ list }) => Effect.forEach(linesOf(list, before), line, { discard: true })),
    Effect.catch((error) => error.reason === "DiskFull" ? Effect.fail(error) : line(error.message))
  )
}, Effect.scoped)

const inTheWay = () =>
  invalid(
    `${whatWasMade} cannot be put back into the configuration; plan again, and let planning replace no directory of it by a file, nor the reverse.`
  )

/** Unpacks the archives that came with a plan to where they were packed; `root` is the open directory of the configuration. */
export const bringCarried = Effect.fn("CarriedFiles.bring")(function*(root: number) {
  const { dataDirectory, privateDirectory } = yield* Settings
  const modules = join(privateDirectory, modulesArchive)
  if (existsSync(modules)) {
    yield* unpack(modules, yield* openModules(yield* openFolder(dataDirectory)), packedLimits, "worker")
  }
  const made = join(privateDirectory, madeArchive)
  if (existsSync(made)) {
    yield* Effect.mapError(unpack(made, root, packedLimits, "worker"), (error) => error.reason === "InvalidArchive" ? inTheWay() : error)
  }
}, Effect.scoped)
