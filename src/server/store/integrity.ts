// Whether the pages of the database are as SQLite wrote them; damage elsewhere would be found only by who happens to read it.
// Measured: 1 GB takes 1 to 2 s from memory and 5 s from a disk, and nothing else runs meanwhile; so at the start alone, before anybody is served.
// Used by server/store/database.
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { statSync } from "node:fs"

/** A larger one, on a slow disk, would keep everybody waiting for minutes. */
const checkedBytes = 1024 ** 3
/** The most findings that are told. */
const told = 5

/** Tells the log of damage. The server goes on with what can be read: a person decides whether a backup has more. */
export const checkPages = Effect.fnUntraced(function*(file: string) {
  const { size } = statSync(file)
  if (size > checkedBytes) {
    return yield* Effect.logInfo("the database is too large to be looked through for damage at the start", { file, size })
  }
  const sql = yield* SqlClient.SqlClient
  const findings = yield* sql`PRAGMA quick_check(${sql.literal(String(told))})`.pipe(
    Effect.map((found) => found.map(({ quick_check: finding }) => String(finding)).filter((finding) => finding !== "ok")),
    Effect.catch(({ reason }) => Effect.succeed([String(reason.cause)])) // SQLite cannot even read what the pages are for
  )
  if (findings.length > 0) {
    yield* Effect.logError(
      "the database is damaged, and what is in the damaged pages cannot be read: stop the server, keep a copy of its data directory, and restore the database from a backup, see docs/state.md",
      { file, findings }
    )
  }
})
