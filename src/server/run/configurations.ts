// Configuration versions: an uploaded archive, known by its SHA-256 from then on.
// A version takes one archive, from one upload at a time; the same one again is success. It is checked (gzip, tar header), never unpacked.
// Used by the TFE and task routes, the imports and the retention; runs keep the digest.
import { Context, Effect, Layer, Schema, type Stream } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { constants, createGunzip } from "node:zlib"
import { archiveLimitBytes } from "../../schema/api/task-api.ts"
import { Sha256, Timestamp } from "../../schema/names.ts"
import { conflict, invalid, orNotFound, Refused, type StoreFailure } from "../refused.ts"
import { actsOn, endsAs } from "../store/act.ts"
import { Blobs } from "../store/blobs.ts"
import { row } from "../store/database.ts"
import { newId } from "../store/ids.ts"
import { instantAfter, now } from "../store/instants.ts"
import { makeOneUpload } from "../store/one-upload.ts"

export const ConfigurationVersion = Schema.Struct({
  id: Schema.String,
  workspaceId: Schema.String,
  speculative: Schema.BooleanFromBit,
  status: Schema.Literals(["pending", "uploaded", "errored"]),
  sha256: Schema.NullOr(Sha256),
  sizeBytes: Schema.NullOr(Schema.Int),
  createdAt: Timestamp
})
export type ConfigurationVersion = typeof ConfigurationVersion.Type

/** Selects the version that a run of the workspace takes which names none. */
export const latestIn = (sql: SqlClient.SqlClient, workspaceId: string) =>
  sql`SELECT * FROM configurationVersions
    WHERE workspaceId = ${workspaceId} AND status = 'uploaded' AND speculative = 0 AND onlyNamed = 0 ORDER BY seq DESC LIMIT 1`

/**
 * How long a version that has no archive takes one. Its link follows from a key that each copy of the data has, so an old one must not open
 * the versions that nobody looks at any more.
 */
const takenForMillis = 24 * 3600 * 1000

const tarBlock = 512

/**
 * Reports whether `head` begins a gzipped tar. `head` is the first bytes of an archive, enough of them for one tar block. It is unpacked up
 * to that block, because the whole of it may become a thousand times as large.
 */
const looksLikeArchive = (head: Uint8Array): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const tar = createGunzip({ chunkSize: tarBlock, finishFlush: constants.Z_SYNC_FLUSH })
    const say = (yes: boolean) => {
      tar.destroy()
      resume(Effect.succeed(yes))
    }
    tar.once("error", () => say(false)).once("end", () => say(false))
    tar.once("data", (block: Buffer) => say(block.byteLength === tarBlock && isTarHeader(block)))
    tar.end(head)
    return Effect.sync(() => tar.destroy())
  })

/**
 * Reports whether a block is a tar header. Its checksum is the sum of its bytes, with its own eight taken as spaces; an empty archive
 * begins with zeros.
 */
const isTarHeader = (block: Uint8Array): boolean => {
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0)
  const stored = Buffer.from(block.subarray(148, 156)).toString("latin1").replace(/[\0 ]+$/u, "").trim()
  return block.every((byte) => byte === 0) || Number.parseInt(stored, 8) === sum
}

const another = conflict("already-uploaded", "This configuration version has another archive already; create a new version.")
const tooLate = new Refused({
  status: 410,
  error: "link-expired",
  message:
    "This configuration version was made more than 24 hours ago and has no archive, so its link takes none any more; create a new version."
})
const replaced = conflict(
  "another-upload",
  "Another upload of this configuration version has begun, so this one was ended; if both are yours, create a version for each."
)

export class Configurations extends Context.Service<Configurations, {
  /** Fails with 404 if there is no such version. */
  readonly get: (id: string) => Effect.Effect<ConfigurationVersion, StoreFailure>
  /**
   * Creates a version without an archive. One that is speculative can only be planned. With `onlyNamed` no run has it that does not name it.
   */
  readonly create: (workspaceId: string, speculative: boolean, onlyNamed?: boolean) => Effect.Effect<ConfigurationVersion, StoreFailure>
  /** Returns the newest uploaded version that may be applied, for a run that names none. */
  readonly latest: (workspaceId: string) => Effect.Effect<ConfigurationVersion | undefined, SqlError.SqlError>
  /**
   * Stores the archive of a version. `saidBytes` is the length that the request states, if it does. Fails with 409 `already-uploaded` if
   * the version has another one, with 409 `another-upload` if the next upload of the version begins meanwhile, with 410 `link-expired` a day
   * after the version was made, and with 422 if the body is no gzipped tar archive.
   */
  readonly upload: <E>(
    id: string,
    bytes: Stream.Stream<Uint8Array, E>,
    saidBytes?: number
  ) => Effect.Effect<void, E | StoreFailure>
}>()("agent-job/server/Configurations") {
  static readonly layer = Layer.effect(Configurations, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const blobs = yield* Blobs
  const oneUpload = makeOneUpload(replaced)
  const one = row(ConfigurationVersion)

  const get = (id: string) => Effect.flatMap(one(sql`SELECT * FROM configurationVersions WHERE id = ${id}`), orNotFound)

  const create = Effect.fn("Configurations.create")(function*(workspaceId: string, speculative: boolean, onlyNamed = false) {
    const id = yield* newId("cv")
    yield* actsOn(id)
    yield* sql`INSERT INTO configurationVersions (id, seq, workspaceId, speculative, onlyNamed, status, createdAt)
      SELECT ${id}, COALESCE(MAX(seq), 0) + 1, ${workspaceId}, ${speculative}, ${onlyNamed}, 'pending', ${yield* now} FROM configurationVersions`
    return yield* get(id)
  }, sql.withTransaction)

  const latest = (workspaceId: string) => one(latestIn(sql, workspaceId))

  const upload = Effect.fn("Configurations.upload")(function*<E>(id: string, bytes: Stream.Stream<Uint8Array, E>, saidBytes?: number) {
    const { createdAt, sizeBytes: storedBytes, status } = yield* get(id)
    if (status !== "uploaded" && createdAt < (yield* instantAfter(-takenForMillis))) return yield* tooLate
    if (status === "uploaded" && saidBytes !== undefined && saidBytes !== storedBytes) return yield* another
    const received = yield* oneUpload(id, blobs.receive(bytes, { limitBytes: archiveLimitBytes, saidBytes }))
    const { sha256, sizeBytes } = received
    const usable = yield* looksLikeArchive(yield* blobs.head(received, 64 * 1024))
    const kept = usable ? { sha256, sizeBytes } : { sha256: null, sizeBytes: null }
    yield* sql.withTransaction(Effect.gen(function*() {
      const taken = yield* sql`UPDATE configurationVersions SET ${
        sql.update({ status: usable ? "uploaded" : "errored", ...kept, uploadedAt: yield* now, removedAt: null })
      }
        WHERE id = ${id} AND (status <> 'uploaded' OR sha256 = ${sha256}) RETURNING id` // decided here, since another upload may have come meanwhile
      if (taken.length === 0) return yield* another
      yield* usable ? blobs.store(received) : endsAs("no archive")
    }))
    if (!usable) {
      return yield* invalid("The body is not a gzipped tar archive; upload what `tar -cz` makes of the configuration's directory.")
    }
  }, Effect.scoped)

  return Configurations.of({ get, create, latest, upload })
})
