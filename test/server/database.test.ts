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
