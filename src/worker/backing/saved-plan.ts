// The package of a saved plan: a tar of its seal, the plan, its lock file, its modules, what planning made and, without a pool, its configuration's archive.
// Invariant: only these names are put into it or taken out of it, and its digest covers exactly the bytes that are kept.
// Used by worker/backing/pool-backing.ts and worker/backing/kept-plan.ts: packed after a plan, unpacked before its apply.
import { Effect, Option, Schema, Stream } from "effect"
import { Tar } from "effect/encoding"
import { createReadStream, openSync, rmSync } from "node:fs"
import { join } from "node:path"
import { sealText } from "../../core/stage/seal.ts"
import { lockFileName, savedPlanName } from "../../core/stage/stage-commands.ts"
import { planLimitBytes } from "../../schema/api/task-api.ts"
import { Seal } from "../../schema/task/seal.ts"
import { archiveFile } from "../network/archive-url.ts"
import { Settings } from "../settings.ts"
import { fileTrouble, invalid, StageFailed } from "../stage-failed.ts"
import { contentOf, openFile, openFolder, readFile, replaceFile, writeStream } from "../volume/folder.ts"
import { inMebibytes } from "../volume/mebibytes.ts"
import { tarEntries } from "../volume/tar-entries.ts"
import { writeHashed } from "../volume/write-hashed.ts"
import type { Provisioned } from "./backing.ts"
import { bringCarried, carriedArchives } from "./carried-files.ts"
import { planFile } from "./modules-folder.ts"

const sealName = "seal.json"
const sealLimitBytes = 1024 * 1024

/** The most bytes that a tar adds to these few entries: a header and padding for each, and the end of the archive. */
const tarBytes = 16 * 1024

/** Where the engine works. */
type Place = Pick<Provisioned, "root" | "directory">

/** Returns the entry for the file at `segments`, by its own name; none if there is no file. */
const entry = (root: number, ...segments: ReadonlyArray<string>) => {
  const name = segments.at(-1) ?? ""
  return Effect.map(
    openFile(root, segments),
    Option.map(({ fd, size }) => Tar.fileStream(name, size, contentOf(fd, size, fileTrouble(name))))
  )
}

const notPacked = (why: string) => invalid(`The engine's saved plan cannot be stored, because ${why}; plan again.`)

/**
 * Packs the plan that the engine left, and the lock file in the directory, into `file`, with the seal, with what `packCarried` left in the
 * worker's own directory and, if wanted, the archive of the configuration. Returns the digest of the package.
 */
export const packPlan = Effect.fn("SavedPlan.pack")(
  function*({ directory, root }: Place, file: string, seal: Seal, configuration: "leave" | "pack" = "leave") {
    const { dataDirectory, privateDirectory } = yield* Settings
    const own = yield* openFolder(privateDirectory)
    const plan = yield* entry(yield* openFolder(dataDirectory), ...planFile)
    if (Option.isNone(plan)) return yield* notPacked("there is none")
    const lock = yield* entry(root, ...directory, lockFileName)
    const carried = yield* Effect.forEach(carriedArchives, (name) => entry(own, name))
    const archive = configuration === "pack" ? yield* entry(own, archiveFile) : Option.none()
    const entries = [Tar.file(sealName, sealText(seal)), plan.value, ...[lock, ...carried].flatMap(Option.toArray)]
    const bytes = entries.reduce((sum, { header }) => sum + header.size, 0)
    if (bytes > planLimitBytes - tarBytes) return yield* notPacked(`with its lock file it has more than ${inMebibytes(planLimitBytes)}`)
    return yield* Stream.fromIterable([...entries, ...Option.toArray(archive)]).pipe(
      Stream.pipeThroughChannel(Tar.encode()),
      (tar) => writeHashed(tar, file, "the saved plan"),
      Effect.catchTag("TarError", () => Effect.fail(notPacked("it changed while it was read")))
    )
  },
  Effect.scoped
)

const notAPlan = () =>
  new StageFailed({
    reason: "DigestMismatch",
    message: "The saved plan is not one that this program made; plan again and approve that plan."
  })

/** Decides about an entry: it is skipped, makes the whole package refused, or is written to the descriptor that the function opens. */
type Take = (name: string) => "skip" | "refuse" | (() => number)

/** Goes through the entries of `file`, whose digest was checked before, and does with each what `of` decides. */
const take = (file: string, of: Take) =>
  tarEntries(Stream.fromAsyncIterable(createReadStream(file), fileTrouble("the saved plan")), notAPlan).pipe(
    Stream.runForEach(({ body, header }) => {
      const open = header.type === "File" ? of(header.path) : "refuse"
      if (open === "skip") return Effect.void
      if (open === "refuse") return Effect.fail(notAPlan())
      return writeStream(open, body, fileTrouble(header.path))
    }),
    Effect.catchTag("TarError", () => Effect.fail(notAPlan()))
  )

/** A part that this version does not know is of a newer one: what is left of the seal would not be what was approved. */
const decodeSeal = Schema.decodeUnknownOption(Schema.fromJsonString(Seal), { onExcessProperty: "error" })

const noSeal = () =>
  new StageFailed({
    reason: "DigestMismatch",
    message:
      "The saved plan has no seal that this version knows in full, so it is not certain what it was made with; plan again with this version and approve that plan."
  })

/** Puts the plan, its lock file and what is carried with them to their places; returns the seal, which tells what they were made with. */
export const unpackPlan = Effect.fn("SavedPlan.unpack")(
  function*({ directory, root }: Place, file: string, configuration: "refuse" | "skip" = "refuse") {
    const { dataDirectory, privateDirectory } = yield* Settings
    const data = yield* openFolder(dataDirectory)
    for (const old of [sealName, ...carriedArchives]) rmSync(join(privateDirectory, old), { force: true })
    yield* take(file, (name) => {
      if (name === archiveFile) return configuration
      if (name === sealName || carriedArchives.includes(name)) return () => openSync(join(privateDirectory, name), "w", 0o600)
      if (name === savedPlanName) return () => replaceFile(data, planFile, "ours")
      if (name === lockFileName) return () => replaceFile(root, [...directory, name], "plain") // the engine puts it in the place of a link, too
      return "refuse"
    })
    const found = yield* readFile(yield* openFolder(privateDirectory), [sealName], sealLimitBytes)
    const decoded = Option.flatMap(found, (bytes) => decodeSeal(new TextDecoder().decode(bytes)))
    const seal = yield* Effect.mapError(Effect.fromOption(decoded), noSeal)
    yield* Effect.mapError(bringCarried(root), (error) => error.reason === "InvalidArchive" ? notAPlan() : error)
    return seal
  },
  Effect.scoped
)

/** Copies the archive of the configuration out of the package `file` to the path `archive`. */
export const unpackConfiguration = Effect.fn("SavedPlan.configuration")((file: string, archive: string) =>
  take(file, (name) => name === archiveFile ? () => openSync(archive, "w", 0o600) : "skip")
)
