// A database is of the steps that some version ran on it, so each step stays as it was when it landed. A golden file has their digests.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { type SqlClient, Statement } from "effect/sql"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { layerDatabase } from "../../../src/server/store/database.ts"
import { migrations } from "../../../src/server/store/migrations.ts"
import { plain } from "../plain-sql.ts"

const landed = readFileSync("test/golden/migrations.txt", "utf8").split("\n").filter((line) => line !== "" && !line.startsWith("#"))

it.live("has each step of the database as it landed, but for its comments", () =>
  Effect.gen(function*() {
    const steps = yield* Effect.forEach(yield* migrations, ([id, name, load]) =>
      Effect.gen(function*() {
        const texts: Array<string> = []
        const step: Effect.Effect<void, unknown, SqlClient.SqlClient> = yield* load
        yield* Effect.provideService(step, Statement.CurrentTransformer, (statement, sql) =>
          Effect.sync(() => {
            texts.push(plain(statement.compile()[0]))
            return sql`SELECT 1`
          }))
        return `${String(id).padStart(4, "0")}_${name} ${createHash("sha256").update(texts.join(";\n")).digest("hex")}`
      }))
    expect(
      steps,
      "Databases exist that the landed steps were run on, and no server runs one of them again there. Put a landed step back as it was, append what you want as the next step to migrations.ts, and name that in test/golden/migrations.txt."
    ).toEqual(landed)
  }).pipe(Effect.provide(layerDatabase(":memory:"))))
