// Plans that are kept on a claim between their stages, for tasks without a pool: one file each, named by its digest, in a folder for each workspace.
// Always holds: a name is only there once all its bytes are on the disk; what is taken is a file of its own, and checked against the digest before any of it is used.
// Used by worker/own-backing.ts.
import { Clock, Effect, Option, Stream } from "effect"
import { randomBytes } from "node:crypto"
import {
  copyFileSync,
  createReadStream,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import type { Sha256, WorkspaceName } from "../schema/names.ts"
import type { Seal } from "../schema/seal.ts"
import { archiveLimitBytes, planLimitBytes } from "../schema/task-api.ts"
import { archiveFile } from "./archive-url.ts"
import { unpack } from "./archive.ts"
import { save } from "./download.ts"
import { inside } from "./fifo.ts"
import { openFile, openFolder, readFile, type Segments } from "./folder.ts"
import { packPlan, unpackConfiguration, unpackPlan } from "./saved-plan.ts"
import { Settings } from "./settings.ts"
import { invalid, StageFailed, volumeTrouble } from "./stage-failed.ts"
import { asideSuffix, putWhole, sync } from "./whole-file.ts"

/** Plans that are kept of a workspace: newer ones push older ones out. */
const plansPerWorkspace = 20
const suffix = ".tar"
/** No worker writes one file for so long; one of a worker that was killed would be there for ever. */
const halfDoneForMillis = 60 * 60 * 1000
/** With its configuration. */
const limitBytes = planLimitBytes + archiveLimitBytes

interface Place {
  readonly root: number
  readonly directory: Segments
}

const planFile = "kept-plan.tar"
/** File of the key, beside the plans, never in one: who gets hold of a plan alone cannot try out values of variables against its seal. */
const keyName = "seal.key"
const keyBytes = 32

const trouble = volumeTrouble("the claim of the plan", "make it larger, or remove plans from it that nobody will apply")

const claimOf = Effect.gen(function*() {
  const { plansDirectory } = yield* Settings
  return yield* Effect.mapError(
    Effect.fromOption(plansDirectory),
    () => invalid("The Pod has no mount for the claim of the plan; let the controller make it anew.")
  )
})

/**
 * Descriptor of the claim, to read from. Nobody but workers should write there, but nothing keeps another task from mounting the claim in
 * its runner.
 */
const openClaim = Effect.flatMap(claimOf, openFolder)

/** The folder of the workspace, made if it is missing; its path is that of an open descriptor, so no link in its place leads elsewhere. */
const folderOf = Effect.fnUntraced(function*(workspace: WorkspaceName) {
  const path = join(yield* claimOf, workspace)
  yield* Effect.try({ try: () => mkdirSync(path, { recursive: true }), catch: trouble })
  return inside(yield* openFolder(path), ".")
})

/** Each for itself: one that cannot go keeps no plan from being kept. */
const takeAway = (path: string): void => {
  try {
    rmSync(path, { force: true })
  } catch {
    // whether there is room shows when the plan is written
  }
}

/** What a worker writes beside a plan, or beside the key. */
const isAside = (name: string): boolean => name.endsWith(`${suffix}${asideSuffix}`) || name.startsWith(`.${keyName}.`)

/**
 * Takes away what is too old, so that there is room for one more; gives when the newest was kept. Other Pods keep and prune in the same
 * folder at the same time, and the storage may have things of its own there.
 */
const makeRoom = (folder: string, now: number): number => {
  const found = readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    const stat = statSync(path, { throwIfNoEntry: false })
    return stat === undefined || !stat.isFile() ? [] : [{ name, path, at: stat.mtimeMs }]
  })
  const plans = found.filter(({ name }) => name.endsWith(suffix)).sort((a, b) => b.at - a.at)
  const halfDone = found.filter(({ at, name }) => isAside(name) && at < now - halfDoneForMillis)
  for (const { path } of [...plans.slice(plansPerWorkspace - 1), ...halfDone]) takeAway(path)
  return plans[0]?.at ?? 0
}

/** The newest by its time too, whatever the clocks of the nodes that kept the others. */
const store = (from: string, folder: string, name: string, now: number): void => {
  const newest = makeRoom(folder, now)
  putWhole(join(folder, name), (aside) => {
    copyFileSync(from, aside)
    const after = (newest + 1000) / 1000
    if (statSync(aside).mtimeMs <= newest) utimesSync(aside, after, after)
  })
}

/** A key that all Pods of the workspace agree on, whichever of them makes it. */
const makeKey = (folder: string): void => {
  const aside = join(folder, `.${keyName}.${randomBytes(8).toString("hex")}`)
  try {
    writeFileSync(aside, randomBytes(keyBytes), { mode: 0o600, flush: true })
    linkSync(aside, join(folder, keyName))
    sync(folder)
  } catch (error) {
    if (!existsSync(join(folder, keyName))) throw error
  } finally {
    rmSync(aside, { force: true })
  }
}

/** What the variables of the workspace's plans are sealed with; only a plan may make it. */
export const sealingKey = Effect.fn("KeptPlan.key")(function*(workspace: WorkspaceName, mayMake: boolean) {
  const read = readFile(yield* openClaim, [workspace, keyName], keyBytes)
  const found = yield* read
  if (Option.isNone(found) && mayMake) {
    const folder = yield* folderOf(workspace)
    yield* Effect.try({ try: () => makeKey(folder), catch: trouble })
  }
  const key = Option.isSome(found) ? found : yield* read
  if (Option.isSome(key) && key.value.length === keyBytes) return key.value
  return yield* new StageFailed({
    reason: "DigestMismatch",
    message:
      `The claim has no key ${workspace}/${keyName} any more, which the variables of its plans were sealed with; remove what is left of it and plan again.`
  })
}, Effect.scoped)

/** Packs what the engine planned, together with the archive that it was planned from; gives the digest that an approval names. */
export const keepPlan = (workspace: WorkspaceName) =>
  Effect.fn("KeptPlan.keep")(function*({ directory, root }: Place, seal: Seal) {
    const { privateDirectory } = yield* Settings
    const folder = yield* folderOf(workspace)
    const file = join(privateDirectory, planFile)
    const sha256 = yield* packPlan(root, directory, file, seal, Option.some(join(privateDirectory, archiveFile)))
    const now = yield* Clock.currentTimeMillis
    yield* Effect.try({ try: () => store(file, folder, `${sha256}${suffix}`, now), catch: trouble })
    return sha256
  }, Effect.scoped)

/** Brings the configuration that was planned, out of the kept plan. */
export const bringPlannedSource = (workspace: WorkspaceName, sha256: Sha256) =>
  Effect.fn("KeptPlan.source")(function*(root: number) {
    const { privateDirectory } = yield* Settings
    const kept = yield* openFile(yield* openClaim, [workspace, `${sha256}${suffix}`])
    if (Option.isNone(kept)) {
      return yield* invalid(`The claim has no plan ${sha256} of workspace ${workspace}; plan again, and approve that plan.`)
    }
    const [file, archive] = [join(privateDirectory, planFile), join(privateDirectory, archiveFile)]
    // Opened once more by its descriptor, so that the stream closes its own.
    yield* save(Stream.fromAsyncIterable(createReadStream(`/proc/self/fd/${kept.value.fd}`), trouble), file, {
      what: "the saved plan",
      sha256,
      limitBytes
    })
    yield* unpackConfiguration(file, archive)
    yield* unpack(archive, root)
  }, Effect.scoped)

/** After its source: the plan itself, and the lock file that it was made with; gives its seal. */
export const bringKeptPlan = Effect.fn("KeptPlan.bring")(function*({ directory, root }: Place) {
  const { privateDirectory } = yield* Settings
  return yield* unpackPlan(join(privateDirectory, planFile), root, directory, "skip")
})
