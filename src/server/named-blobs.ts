// Which blobs a row names: all that must stay on the disk, and the way to remove one that nothing names any more.
// Invariant: every column that holds a blob's digest is in `names`, for as long as anybody may ask for it; a file comes with its row, and goes only in a transaction that has seen no row of it.
// Used by upkeep, and by the stores when they let something go.
import { Clock, Context, Effect, Layer, Option, Schema, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { finalStatuses } from "../core/run-machine.ts"
import { Timestamp } from "../schema/names.ts"
import { Blobs } from "./blobs.ts"
import { row } from "./database.ts"
import { instantOf } from "./instants.ts"

interface Named {
  readonly sha256: string
}

/** Of two sweeps, which are a day and what one takes apart while a server runs; one of them may fail. */
const gapMillis = 3 * 24 * 3600 * 1000

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const blobs = yield* Blobs
  /** Its plan is for its apply alone. */
  const isAtWork = sql.literal(`status NOT IN (${finalStatuses.map((status) => `'${status}'`).join(", ")})`)
  const names =
    sql`SELECT sha256 FROM configurationVersions WHERE sha256 IS NOT NULL AND removedAt IS NULL UNION ALL SELECT archiveSha256 FROM runs WHERE removedAt IS NULL
    UNION ALL SELECT planSha256 FROM runs WHERE planSha256 IS NOT NULL AND ${isAtWork} UNION ALL SELECT sha256 FROM stateVersions WHERE supersededAt IS NULL UNION ALL SELECT sha256 FROM evidence`

  const isNamed = (sha256: string) => Effect.map(sql`SELECT 1 FROM (${names}) WHERE sha256 = ${sha256} LIMIT 1`, ({ length }) => length > 0)

  /** Those that a row still names, or names again, stay. What cannot be removed now is so by a later sweep. */
  const removeUnnamed = (gone: ReadonlyArray<Named>) =>
    Effect.forEach(
      gone,
      ({ sha256 }) => sql.withTransaction(Effect.flatMap(isNamed(sha256), (named) => named ? Effect.void : blobs.remove(sha256))),
      { discard: true }
    ).pipe(
      Effect.catch(({ message }) => Effect.logWarning("what nothing names any more stays on the disk for now", message))
    )

  /**
   * Since when no sweep has seen it named. A gap begins it anew: the database was away, and may be a copy that knows of no row that has
   * named the file since. So does a clock that was ahead, or it would never be over.
   */
  const unnamedSince = Effect.fnUntraced(function*(sha256: string, at: number) {
    const seenAt = instantOf(at)
    const known = yield* row(Schema.Struct({ since: Timestamp }))(sql`INSERT INTO unnamed ${sql.insert({ sha256, since: seenAt, seenAt })}
      ON CONFLICT (sha256) DO UPDATE SET since = iif(seenAt < ${
      instantOf(at - gapMillis)
    } OR since > excluded.since, excluded.since, since), seenAt = excluded.seenAt RETURNING since`)
    return known === undefined ? at : Date.parse(known.since)
  })

  /** Removes what nothing has named for so long, nor was stored since; gives what else nothing names. */
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
