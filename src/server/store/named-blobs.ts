// Which blobs a row names: all that must stay on the disk, and the way to remove one that nothing names any more.
// Invariant: `names` has each digest whose blob may be asked for; a file goes only in a transaction that has seen no row of it.
// Used by upkeep, and by the stores when they let something go.
import { Clock, Context, Effect, Layer, Option, Schema, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { finalStatuses } from "../../core/run/run-machine.ts"
import { Sha256, Timestamp } from "../../schema/names.ts"
import { Blobs } from "./blobs.ts"
import { isAny, row } from "./database.ts"
import { instantOf } from "./instants.ts"

/** What a row names, or has named till now. */
export const Named = Schema.Struct({ sha256: Sha256 })
type Named = typeof Named.Type

/**
 * The longest gap between two sweeps that does not restart the count. While a server runs, sweeps are a day and their own duration apart,
 * and one may fail.
 */
const gapMillis = 3 * 24 * 3600 * 1000

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const blobs = yield* Blobs
  /** Holds for runs that are not over: a saved plan is named only while its run may apply it. */
  const isAtWork = sql.literal(`status NOT IN (${finalStatuses.map((status) => `'${status}'`).join(", ")})`)
  const names =
    sql`SELECT sha256 FROM configurationVersions WHERE sha256 IS NOT NULL AND removedAt IS NULL UNION ALL SELECT archiveSha256 FROM runs WHERE removedAt IS NULL
    UNION ALL SELECT planSha256 FROM runs WHERE planSha256 IS NOT NULL AND ${isAtWork} UNION ALL SELECT sha256 FROM stateVersions WHERE supersededAt IS NULL UNION ALL SELECT sha256 FROM evidence`

  const isNamed = (sha256: string) => isAny(sql`SELECT 1 FROM (${names}) WHERE sha256 = ${sha256} LIMIT 1`)

  /** Removes those blobs that no row names any more. A blob that cannot be removed now is removed by a later sweep. */
  const removeUnnamed = (gone: ReadonlyArray<Named>) =>
    Effect.forEach(
      gone,
      ({ sha256 }) => sql.withTransaction(Effect.flatMap(isNamed(sha256), (named) => named ? Effect.void : blobs.remove(sha256))),
      { discard: true }
    ).pipe(
      Effect.catch(({ message }) => Effect.logWarning("what nothing names any more stays on the disk for now", message))
    )

  /**
   * Returns since when (milliseconds since 1970) no sweep has seen the blob named. A gap between sweeps restarts the count: the database
   * was away, and may be a copy without the rows that have named the file since. A count that began in the future, by a clock that was
   * ahead, restarts too, because it would never be over.
   */
  const unnamedSince = Effect.fnUntraced(function*(sha256: string, at: number) {
    const seenAt = instantOf(at)
    const known = yield* row(Schema.Struct({ since: Timestamp }))(sql`INSERT INTO unnamed ${sql.insert({ sha256, since: seenAt, seenAt })}
      ON CONFLICT (sha256) DO UPDATE SET since = iif(seenAt < ${
      instantOf(at - gapMillis)
    } OR since > excluded.since, excluded.since, since), seenAt = excluded.seenAt RETURNING since`)
    return known === undefined ? at : Date.parse(known.since)
  })

  /**
   * Removes the blobs that nothing has named for so long and that were not stored since. Returns how many others nothing names, and their
   * bytes.
   */
  const sweep = Effect.fn("NamedBlobs.sweep")(function*(unnamedForMillis: number) {
    const at = yield* Clock.currentTimeMillis
    let [files, bytes] = [0, 0]
    yield* Stream.runForEach(
      blobs.all,
      Effect.fnUntraced(function*(sha256) {
        if (yield* isNamed(sha256)) return
        const found = yield* blobs.about(sha256)
        if (Option.isNone(found)) return
        const since = Math.max(yield* unnamedSince(sha256, at), found.value.storedAt)
        if (since <= at - unnamedForMillis) return yield* removeUnnamed([{ sha256 }])
        files++
        bytes += found.value.sizeBytes
      })
    )
    yield* sql`DELETE FROM unnamed WHERE seenAt <> ${instantOf(at)}` // named or gone
    return { files, bytes }
  })

  return { removeUnnamed, sweep }
})

export class NamedBlobs extends Context.Service<NamedBlobs>()("agent-job/server/NamedBlobs", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
