// The seal of what an apply runs, part by part: taken when a plan is kept, and again before the apply, which wants every part unchanged.
// Invariant: a seal tells nothing of a variable's value without the key, which neither the stage's runner nor the plan's package gets.
// Used by worker/stage/preparation.ts.
import { Effect, Option, Struct } from "effect"
import { createHash, createHmac, type Hash } from "node:crypto"
import { brokenSeal, differences } from "../../core/stage/seal.ts"
import { lockFileName } from "../../core/stage/stage-commands.ts"
import { archiveLimitBytes, planLimitBytes } from "../../schema/api/task-api.ts"
import { Sha256 } from "../../schema/names.ts"
import type { Seal } from "../../schema/task/seal.ts"
import type { Provisioned, Sealing } from "../backing/backing.ts"
import { inModules, modulesBelow, modulesNotKept, notListed, planFile } from "../backing/modules-folder.ts"
import { archiveFile } from "../network/archive-url.ts"
import { Settings } from "../settings.ts"
import { fileTrouble, invalid, StageFailed } from "../stage-failed.ts"
import { chunksOf, openFile, openFolder, type Segments } from "../volume/folder.ts"
import { inMebibytes } from "../volume/mebibytes.ts"
import { packedLimits, tooManyBytes } from "../volume/pack-tree.ts"
import type { Variables } from "./variables.ts"

const digestOf = Effect.fnUntraced(function*(root: number, path: Segments, limitBytes: number) {
  const name = path.at(-1) ?? ""
  const found = yield* openFile(root, path)
  if (Option.isNone(found)) return Option.none<Sha256>()
  const { fd, size } = found.value
  if (size > limitBytes) {
    return yield* invalid(`The file ${name} has more than ${inMebibytes(limitBytes)}, so its plan cannot be kept; make it smaller.`)
  }
  const hash = createHash("sha256")
  const chunks = chunksOf(fd, size)
  const next = Effect.try({ try: () => chunks.next(), catch: fileTrouble(name) })
  for (let chunk = yield* next; chunk.done !== true; chunk = yield* next) {
    hash.update(chunk.value)
    yield* Effect.yieldNow // a stop is heard, and the probes are answered, however much there is
  }
  return Option.some(Sha256.make(hash.digest("hex")))
}, Effect.scoped)

const needed = (found: Option.Option<Sha256>, what: string) =>
  Effect.mapError(
    Effect.fromOption(found),
    () => invalid(`There is no ${what}, and without it no plan can be saved or applied; plan again.`)
  )

/** Returns the digest of kind, name and value together, so that equal values of two variables have different digests. */
const keyed = (key: Uint8Array, ...parts: ReadonlyArray<string | boolean>): Sha256 =>
  Sha256.make(createHmac("sha256", key).update(JSON.stringify(parts)).digest("hex"))

/** Returns a digest for each directory or file directly among the modules: of names, contents, links, and of which files are executable. */
const modulesDigests = Effect.fnUntraced(function*(data: number) {
  const hashes = new Map<string, Hash>()
  const list = yield* Effect.mapError(modulesBelow(data), notListed("the modules of the configuration", modulesNotKept))
  if (list.reduce((sum, { size }) => sum + size, 0) > packedLimits.bytes) return yield* modulesNotKept(tooManyBytes)
  for (const { executable, segments, size, target, type } of list) {
    if (type === "Directory") continue
    const content = type === "File" ? yield* digestOf(data, inModules(segments), size) : Option.none()
    const [name = ""] = segments
    const hash = hashes.get(name) ?? createHash("sha256")
    hashes.set(name, hash.update(`${JSON.stringify([segments, type, executable, target, Option.getOrNull(content)])}\n`))
  }
  return Object.fromEntries([...hashes].map(([name, hash]) => [name, Sha256.make(hash.digest("hex"))]))
})

/** Returns the seal of what the directory and the task have now. */
export const sealOf = Effect.fn("Seal.of")(
  function*({ directory, root }: Provisioned, engine: Seal["engine"], { env, inputs }: Variables, sealing: Sealing) {
    const { dataDirectory, privateDirectory } = yield* Settings
    const archives = yield* openFolder(privateDirectory)
    const data = yield* openFolder(dataDirectory)
    const key = yield* sealing.key
    const backend = yield* sealing.backend
    return {
      version: 1,
      ...(Option.isSome(backend) && { backend: keyed(key, "backend", backend.value) }),
      configuration: yield* needed(yield* digestOf(archives, [archiveFile], archiveLimitBytes), "configuration archive"),
      directory: directory.join("/"),
      engine,
      environment: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, keyed(key, "env", name, value)])),
      lockFile: Option.getOrNull(yield* digestOf(root, [...directory, lockFileName], planLimitBytes)),
      modules: yield* modulesDigests(data),
      plan: yield* needed(yield* digestOf(data, planFile, planLimitBytes), "plan file of the engine"),
      state: yield* sealing.state,
      variables: Object.fromEntries(inputs.map(({ hcl, name, value }) => [name, keyed(key, "terraform", name, hcl, value)]))
    } satisfies Seal
  },
  Effect.scoped
)

/**
 * Fails with DigestMismatch if a part is not as it was sealed; the message names each such part. The backend counts once it is known, which
 * is after `init`.
 */
export const unbroken = (sealed: Seal, now: Seal): Effect.Effect<void, StageFailed> => {
  const different = differences(now.backend === undefined ? Struct.omit(sealed, ["backend"]) : sealed, now)
  return different.length === 0 ? Effect.void : Effect.fail(new StageFailed({ reason: "DigestMismatch", message: brokenSeal(different) }))
}
