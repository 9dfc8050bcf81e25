// Plans of tasks without a pool, kept on a PersistentVolumeClaim: one file each, named by its digest, in a folder for each workspace.
// Invariant: a plan has its name only once all its bytes are on the disk, and the key too where storage has hard links.
// A plan is copied, and its digest checked, before it is used, and one apply of it begins. Used by worker/backing/own-backing.ts.
import { Clock, Effect, Option, Stream } from "effect"
import { randomBytes } from "node:crypto"
import {
  constants,
  copyFileSync,
  createReadStream,
  existsSync,
  fstatSync,
  futimesSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { archiveLimitBytes, planLimitBytes } from "../../schema/api/task-api.ts"
import type { Sha256, WorkspaceName } from "../../schema/names.ts"
import { codeOf } from "../../schema/system-error.ts"
import type { Seal } from "../../schema/task/seal.ts"
import { archiveFile } from "../network/archive-url.ts"
import { saveChecked } from "../network/download.ts"
import { Settings } from "../settings.ts"
import { invalid, StageFailed, volumeTrouble } from "../stage-failed.ts"
import { unpack } from "../volume/archive.ts"
import { pathIn, pathOf, using } from "../volume/descriptor.ts"
import { firstNames, openFile, openFolder, readFile } from "../volume/folder.ts"
import { asideSuffix, halfDoneForMillis, putWhole, sync } from "../volume/whole-file.ts"
import type { Provisioned } from "./backing.ts"
import { packPlan, unpackConfiguration, unpackPlan } from "./saved-plan.ts"

/** How many plans of a workspace are kept; a newer one pushes the oldest out. */
const plansPerWorkspace = 20
/** How many files of a workspace are looked at: only a task that has the claim in its runner makes more. */
const mostLookedAt = 10_000
const suffix = ".tar"
/** What a plan's name ends with once an apply of it has begun. It is kept for as long as the others, to say so. */
const begunSuffix = `.begun${suffix}`
/** The largest package, in bytes: a plan with the archive of its configuration. */
const limitBytes = planLimitBytes + archiveLimitBytes

const planFile = "kept-plan.tar"
/** The key's file is beside the plans and never in one, so that a plan alone is not enough to try out values of variables on its seal. */
const keyName = "seal.key"
const keyBytes = 32

const trouble = volumeTrouble("the claim of the plan", "make it larger, or remove plans from it that nobody will apply")

const claimOf = Effect.gen(function*() {
  const { plansDirectory } = yield* Settings
  return yield* Effect.mapError(
    Effect.fromOption(plansDirectory),
    () => invalid("The Pod has no mount for the claim of the plan; run the task again.")
  )
})

/**
 * Opens the PersistentVolumeClaim to read from it. Only workers should write there, but nothing keeps another task from mounting the claim
 * in its runner.
 */
const openClaim = Effect.flatMap(claimOf, openFolder)

/** Returns the path of the workspace's folder, made if missing. It goes through an open descriptor, so no link can lead it elsewhere. */
const folderOf = Effect.fnUntraced(function*(workspace: WorkspaceName) {
  const path = join(yield* claimOf, workspace)
  yield* Effect.try({ try: () => mkdirSync(path, { recursive: true }), catch: trouble })
  return pathIn(yield* openFolder(path), ".")
})

/** Removes a file if it can: a file that stays does not keep a plan from being stored. */
const takeAway = (path: string): void => {
  try {
    rmSync(path, { force: true })
  } catch {
    // the write of the plan shows whether there is room
  }
}

/** Reports whether this is a file that becomes a plan or the key once it is whole. */
const isAside = (name: string): boolean => name.endsWith(`${suffix}${asideSuffix}`) || name.startsWith(`.${keyName}.`)

/**
 * Removes what is too old, so that there is room for one more plan; returns when the newest was kept, in milliseconds. Other Pods store and
 * prune in the same folder at the same time, and the storage may have files of its own there.
 */
const makeRoom = (folder: string, now: number): number => {
  const found = firstNames(folder, mostLookedAt).flatMap((name) => {
    const path = join(folder, name)
    const stat = statSync(path, { throwIfNoEntry: false })
    return stat === undefined || !stat.isFile() ? [] : [{ name, path, at: stat.mtimeMs }]
  })
  const plans = found.filter(({ name }) => name.endsWith(suffix)).sort((a, b) => b.at - a.at)
  const halfDone = found.filter(({ at, name }) => isAside(name) && at < now - halfDoneForMillis)
  for (const { path } of [...plans.slice(plansPerWorkspace - 1), ...halfDone]) takeAway(path)
  return plans[0]?.at ?? 0
}

/** Stores a plan with a time that makes it the newest, whatever the clocks of the nodes said that stored the others. */
const store = (from: string, folder: string, name: string, now: number): void => {
  const newest = makeRoom(folder, now)
  putWhole(join(folder, name), (fd) => {
    copyFileSync(from, pathOf(fd))
    const after = (newest + 1000) / 1000
    if (fstatSync(fd).mtimeMs <= newest) futimesSync(fd, after, after)
  })
}

/** The error codes of storage that has no hard links, such as SMB. */
const linkless: ReadonlyArray<string> = ["ENOTSUP", "EPERM", "ENOSYS"]

/** Gives an open file a second name, or where that cannot be a copy. Fails if the name is taken. */
const nameToo = (fd: number, file: string, name: string): void => {
  try {
    linkSync(file, name)
  } catch (error) {
    if (!linkless.includes(codeOf(error))) throw error
    copyFileSync(pathOf(fd), name, constants.COPYFILE_EXCL) // not what has the name of the file by now
    sync(name)
  }
}

/** Makes the key unless another Pod was first, so that all Pods of the workspace have the same key. */
const makeKey = (folder: string): void => {
  const aside = join(folder, `.${keyName}.${randomBytes(8).toString("hex")}`)
  try {
    using(openSync(aside, "wx", 0o600), (fd) => {
      writeFileSync(fd, randomBytes(keyBytes), { flush: true })
      nameToo(fd, aside, join(folder, keyName))
    })
    sync(folder)
  } catch (error) {
    if (!existsSync(join(folder, keyName))) throw error
  } finally {
    rmSync(aside, { force: true })
  }
}

/** Returns the key that seals the variables of the workspace's plans. Only a plan may make a missing one (`mayMake`). */
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
      `The key ${workspace}/${keyName} on the claim is missing or damaged, and without it no plan of the workspace there can be applied; remove the file if it exists, and plan again.`
  })
}, Effect.scoped)

/** Packs what the engine planned, together with the archive that it was planned from; returns the digest that an approval names. */
export const keepPlan = (workspace: WorkspaceName) =>
  Effect.fn("KeptPlan.keep")(function*(provisioned: Provisioned, seal: Seal) {
    const { privateDirectory } = yield* Settings
    const folder = yield* folderOf(workspace)
    const file = join(privateDirectory, planFile)
    const sha256 = yield* packPlan(provisioned, file, seal, "pack")
    const now = yield* Clock.currentTimeMillis
    yield* Effect.try({ try: () => store(file, folder, `${sha256}${suffix}`, now), catch: trouble })
    return sha256
  }, Effect.scoped)

/** Fails with why the claim has no such plan to apply. */
const notThere = Effect.fnUntraced(function*(workspace: WorkspaceName, sha256: Sha256) {
  const begun = yield* openFile(yield* openClaim, [workspace, `${sha256}${begunSuffix}`])
  return yield* invalid(
    Option.isSome(begun)
      ? `An apply of the plan ${sha256} of workspace ${workspace} has begun, or was about to, and a plan is applied once: look at what came of it, then plan again, and approve that plan.`
      : `The claim has no plan ${sha256} of workspace ${workspace}; plan again, and approve that plan.`
  )
}, Effect.scoped)

/** Gives the plan the name of one that was begun, so that no other apply of it begins: one rename, of which all but the first fail. */
export const beginKeptPlan = Effect.fn("KeptPlan.begin")(function*(workspace: WorkspaceName, sha256: Sha256) {
  const folder = yield* folderOf(workspace)
  const rename = Effect.try({
    try: () => {
      renameSync(join(folder, `${sha256}${suffix}`), join(folder, `${sha256}${begunSuffix}`))
      sync(folder)
    },
    catch: (cause) => cause
  })
  yield* Effect.catch(rename, (cause) => codeOf(cause) === "ENOENT" ? notThere(workspace, sha256) : Effect.fail(trouble(cause)))
}, Effect.scoped)

/** Copies the kept plan, and unpacks from it the configuration that was planned. */
export const bringPlannedSource = (workspace: WorkspaceName, sha256: Sha256) =>
  Effect.fn("KeptPlan.source")(function*(root: number) {
    const { privateDirectory } = yield* Settings
    const kept = yield* openFile(yield* openClaim, [workspace, `${sha256}${suffix}`])
    if (Option.isNone(kept)) return yield* notThere(workspace, sha256)
    const [file, archive] = [join(privateDirectory, planFile), join(privateDirectory, archiveFile)]
    // This path opens the file once more, so that the stream closes a descriptor of its own.
    yield* saveChecked(Stream.fromAsyncIterable(createReadStream(pathOf(kept.value.fd)), trouble), file, {
      what: "the saved plan",
      sha256,
      limitBytes
    })
    yield* unpackConfiguration(file, archive)
    yield* unpack(archive, root)
  }, Effect.scoped)

const ofUnknownBackend = new StageFailed({
  reason: "DigestMismatch",
  message:
    "The saved plan does not say where its state is, so its apply could write that where nobody approved it; plan again and approve that plan."
})

/** Puts the plan and what came with it to their places, after `bringPlannedSource` has copied the package; returns the seal. */
export const bringKeptPlan = Effect.fn("KeptPlan.bring")(function*(provisioned: Provisioned) {
  const { privateDirectory } = yield* Settings
  const seal = yield* unpackPlan(provisioned, join(privateDirectory, planFile), "skip")
  if (seal.backend === undefined) return yield* ofUnknownBackend
  return seal
})
