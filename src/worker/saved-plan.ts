// A saved plan as the pool keeps it: a tar of the plan and the dependency lock file it was made with.
// Always holds: only these two names are ever put into it or taken out of it, and its digest is of the very bytes that are sent.
// Used by worker/pool-backing.ts: packed after a plan, unpacked before its apply.
import { createHash } from "node:crypto"
import { closeSync, createReadStream, openSync } from "node:fs"
import { Effect, Option, Stream } from "effect"
import { Tar } from "effect/encoding"
import { lockFileName, savedPlanName } from "../core/stage-commands.ts"
import { Sha256 } from "../schema/names.ts"
import { chunksOf, createFile, openFile, type Segments, writeAll } from "./folder.ts"
import { fileTrouble, StageFailed } from "./stage-failed.ts"

/** What the pool takes, in bytes. */
const planLimitBytes = 250 * 1024 * 1024

const entry = (root: number, directory: Segments, name: string) =>
  Effect.map(openFile(root, [...directory, name]), Option.map(({ fd, size }) => Tar.fileStream(name, size, Stream.fromIterable(chunksOf(fd, size)))))

const writeTo = (file: string) => <E, R>(stream: Stream.Stream<Uint8Array, E, R>) =>
  Effect.acquireUseRelease(
    Effect.try({ try: () => openSync(file, "w", 0o600), catch: fileTrouble("the saved plan") }),
    Effect.fnUntraced(function*(fd: number) {
      const hash = createHash("sha256")
      yield* Stream.runForEach(stream, (chunk) =>
        Effect.try({
          try: () => {
            hash.update(chunk)
            writeAll(fd, chunk)
          },
          catch: fileTrouble("the saved plan")
        }))
      return Sha256.make(hash.digest("hex"))
    }),
    (fd) => Effect.sync(() => closeSync(fd))
  )

const notPacked = (why: string) => new StageFailed({ reason: "InvalidConfiguration", message: `The engine's saved plan cannot be stored, because ${why}; plan again.` })

/** Packs what the engine left in the directory into `file`; gives the digest. */
export const packPlan = Effect.fn("SavedPlan.pack")(function*(root: number, directory: Segments, file: string) {
  const plan = yield* entry(root, directory, savedPlanName)
  if (Option.isNone(plan)) return yield* notPacked("there is none")
  const lock = yield* entry(root, directory, lockFileName)
  const entries = [plan.value, ...Option.toArray(lock)]
  if (entries.some(({ header }) => header.size > planLimitBytes)) return yield* notPacked(`it or its lock file has more than ${planLimitBytes / 1024 ** 2} MiB`)
  return yield* Stream.fromIterable(entries).pipe(
    Stream.pipeThroughChannel(Tar.encode()),
    writeTo(file),
    Effect.catchTag("TarError", () => Effect.fail(notPacked("it changed while it was read")))
  )
}, Effect.scoped)

const notAPlan = () => new StageFailed({ reason: "DigestMismatch", message: "The saved plan is not one that this program made; plan again and approve that plan." })

/** Puts the plan in `file`, whose digest was found right, and its lock file into the directory. */
export const unpackPlan = Effect.fn("SavedPlan.unpack")((file: string, root: number, directory: Segments) =>
  Stream.fromAsyncIterable(createReadStream(file), fileTrouble("the saved plan")).pipe(
    Stream.pipeThroughChannel(Tar.decode<StageFailed>()),
    Stream.runForEach(({ body, header }) =>
      header.type === "File" && (header.path === savedPlanName || header.path === lockFileName)
        ? Effect.acquireUseRelease(
          Effect.try({ try: () => createFile(root, [...directory, header.path], { executable: false, replace: true }), catch: fileTrouble(header.path) }),
          (fd) => Stream.runForEach(body, (chunk) => Effect.try({ try: () => writeAll(fd, chunk), catch: fileTrouble(header.path) })),
          (fd) => Effect.sync(() => closeSync(fd))
        )
        : Effect.fail(notAPlan())),
    Effect.catchTag("TarError", () => Effect.fail(notAPlan()))
  ))
