// Which blobs a row names: all that must stay on the disk, and the way to remove one that nothing names any more.
// Invariant: every column that holds a blob's digest is in `names`; a state that was superseded is not.
// Used by sweep (at start), and by evidence and state-versions when they let something go.
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Sha256 } from "../schema/names.ts"
import { Blobs } from "./blobs.ts"
import { rows } from "./database.ts"

const Named = Schema.Struct({ sha256: Sha256 })

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const blobs = yield* Blobs
  const names = sql`SELECT sha256 FROM configurationVersions WHERE sha256 IS NOT NULL UNION ALL SELECT archiveSha256 FROM runs
    UNION ALL SELECT planSha256 FROM runs WHERE planSha256 IS NOT NULL UNION ALL SELECT sha256 FROM stateVersions WHERE supersededAt IS NULL UNION ALL SELECT sha256 FROM evidence`

  return {
    /** Only while no request is between its blob and its row. */
    keepOnlyNamed: Effect.flatMap(rows(Named)(names), (named) => blobs.keepOnly(new Set(named.map(({ sha256 }) => sha256)))),
    /** The caller lets no blob of its kind be stored meanwhile, so that no file goes that a row is about to name. What cannot be removed now is so at the next start. */
    removeUnnamed: (gone: ReadonlyArray<typeof Named.Type>) =>
      Effect.forEach(gone, Effect.fnUntraced(function*({ sha256 }) {
        const named = yield* sql`SELECT 1 FROM (${names}) WHERE sha256 = ${sha256} LIMIT 1`
        if (named.length === 0) yield* blobs.remove(sha256)
      }), { discard: true }).pipe(
        Effect.catch(({ message }) => Effect.logWarning("what nothing names any more stays on the disk until the next start", message))
      )
  }
})

export class NamedBlobs extends Context.Service<NamedBlobs>()("agent-job/server/NamedBlobs", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
