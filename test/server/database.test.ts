import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { join } from "node:path"
import { layerDatabase } from "../../src/server/database.ts"
import { directory } from "./live-server.ts"

it.live("commits to the disk itself, so that a power cut loses nothing either (no test can cut the power)", () =>
  Effect.gen(function*() {
    const context = yield* Layer.build(layerDatabase(join(yield* directory, "db.sqlite")))
    const sql = yield* SqlClient.SqlClient.pipe(Effect.provide(context))
    expect([yield* sql`PRAGMA journal_mode`, yield* sql`PRAGMA synchronous`]).toEqual([[{ journal_mode: "wal" }], [{ synchronous: 2 }]])
  }))

it.live("leaves a database alone that a newer version wrote", () =>
  Effect.gen(function*() {
    const file = join(yield* directory, "db.sqlite")
    yield* Effect.scoped(Effect.flatMap(Layer.build(layerDatabase(file)), (context) =>
      Effect.flatMap(SqlClient.SqlClient, (sql) =>
        sql`INSERT INTO effect_sql_migrations (migration_id, name) VALUES (1000, 'of_tomorrow')`).pipe(Effect.provide(context))))
    const { message } = yield* Effect.flip(Effect.scoped(Layer.build(layerDatabase(file))))
    expect(message).toMatch(
      /^The database \S+db\.sqlite is of a newer version of agent-job \(schema 1000, this one knows \d+\); start that version again, or restore a copy from before the upgrade\.$/u
    )
  }))
