// Removes, at start, the blobs that no row names: what was refused after it had arrived, or stored when the process died before its commit.
// Only at start, since then no request is between its blob and its row.
// Used by server/server.
import { Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Sha256 } from "../schema/names.ts"
import { Blobs } from "./blobs.ts"
import { rows } from "./database.ts"
import { ServerError } from "./settings.ts"

export const sweep = Layer.effectDiscard(
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const blobs = yield* Blobs
    const named = yield* rows(Schema.Struct({ sha256: Sha256 }))(sql`
      SELECT sha256 FROM configurationVersions WHERE sha256 IS NOT NULL UNION SELECT archiveSha256 FROM runs
      UNION SELECT planSha256 FROM runs WHERE planSha256 IS NOT NULL UNION SELECT sha256 FROM stateVersions UNION SELECT sha256 FROM evidence`)
    yield* blobs.keepOnly(new Set(named.map(({ sha256 }) => sha256)))
  }).pipe(Effect.mapError(({ message }) => new ServerError({ message: `The data directory cannot be tidied up at start: ${message}` })))
)
