import { expect, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger } from "effect"
import { SqlClient } from "effect/sql"
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { layerDatabase } from "../../../src/server/store/database.ts"
import { canBeNameless, nameless } from "../../nameless.ts"
import { directory, withoutAgentsOfPools, withoutPools } from "../live-server.ts"

it.live("commits to the disk itself, so that a power cut loses nothing either (no test can cut the power)", () =>
  Effect.gen(function*() {
    const context = yield* Layer.build(layerDatabase(join(yield* directory, "db.sqlite")))
    const sql = yield* SqlClient.SqlClient.pipe(Effect.provide(context))
    expect([yield* sql`PRAGMA journal_mode`, yield* sql`PRAGMA synchronous`]).toEqual([[{ journal_mode: "wal" }], [{ synchronous: 2 }]])
  }))

it.live("has a file that can be made smaller where it is new, and where a person wrote anew, as docs/state.md says, what an earlier commit made", () =>
  Effect.gen(function*() {
    const made = yield* directory
    const opened = (file: string) =>
      Effect.scoped(
        Effect.flatMap(Layer.build(layerDatabase(join(made, file))), (context) =>
          Effect.flatMap(SqlClient.SqlClient, (sql) => sql`PRAGMA auto_vacuum`).pipe(Effect.provide(context)))
      )
    const [asNew, never, incremental] = [{ auto_vacuum: 2 }, { auto_vacuum: 0 }, "PRAGMA auto_vacuum = INCREMENTAL"]
    const asPerson = (file: string, statements: string) => {
      const database = new DatabaseSync(join(made, file))
      database.exec(statements)
      database.close()
    }
    expect([yield* opened("new"), yield* opened("new")]).toEqual([[asNew], [asNew]])
    asPerson("earlier", "PRAGMA journal_mode = WAL; CREATE TABLE theirs (a)")
    expect(yield* opened("earlier")).toEqual([never])
    asPerson("earlier", `${incremental}; VACUUM INTO '${join(made, "beside")}'; VACUUM`)
    expect([yield* opened("earlier"), yield* opened("beside")]).toEqual([[asNew], [asNew]])
  }))

it.live("is opened without a write, for which a full disk has no room", () =>
  Effect.gen(function*() {
    const file = join(yield* directory, "db.sqlite")
    const open = Effect.scoped(Effect.asVoid(Layer.build(layerDatabase(file))))
    yield* open
    const before = readFileSync(file)
    yield* Effect.scoped(Effect.andThen(Layer.build(layerDatabase(file)), Effect.sync(() => expect(statSync(`${file}-wal`).size).toBe(0))))
    expect(readFileSync(file).equals(before)).toBe(true)
  }))

it.live.each(["wal", "delete"])(
  "is one program's alone from its opening on, also as another program left it (journal mode %s)",
  (mode) =>
    Effect.gen(function*() {
      const file = join(yield* directory, "db.sqlite")
      const others = (statement: string) => {
        const opened = new DatabaseSync(file, { timeout: 0 })
        try {
          opened.exec(statement)
        } finally {
          opened.close()
        }
      }
      others(`PRAGMA journal_mode = ${mode}; CREATE TABLE theirs (a)`)
      yield* Layer.build(layerDatabase(file))
      expect(() => others("SELECT * FROM theirs")).toThrow("database is locked")
    })
)

it.live("is open to its owner alone, from its first byte on, also where an older version or a restore left it otherwise", () =>
  Effect.gen(function*() {
    const file = join(yield* directory, "db.sqlite")
    const modes = () => [file, `${file}-wal`].map((name) => statSync(name).mode & 0o777)
    const open = Layer.build(layerDatabase(file))
    const shown = Effect.scoped(Effect.map(open, modes))
    expect(yield* shown).toEqual([0o600, 0o600])
    writeFileSync(`${file}-wal`, "of a server that was killed") // SQLite itself closes an empty one
    for (const name of [file, `${file}-wal`]) chmodSync(name, 0o644)
    expect(yield* shown).toEqual([0o600, 0o600])
  }))

it.live.skipIf(!canBeNameless)("is used, with a warning, if it is another user's and open to all", () =>
  Effect.gen(function*() {
    const made = yield* directory
    const file = join(made, "db.sqlite")
    const said: Array<unknown> = []
    const open = Effect.scoped(Effect.asVoid(Layer.build(layerDatabase(file)))).pipe(
      Effect.provide(Logger.layer([Logger.make(({ message }) => said.push(message))]))
    )
    yield* open
    chmodSync(made, 0o777)
    chmodSync(file, 0o666)
    yield* nameless
    yield* open
    expect(said).toEqual([[
      `Every user of this machine may open the database ${file}, and the server cannot change that; give it to the user of the server, or make its mode 600.`
    ]])
    yield* Effect.sync(() => process.seteuid?.(0))
    chmodSync(file, 0o640)
    yield* nameless
    expect((yield* Effect.flip(open)).message).toContain(`The database ${file} cannot be opened`)
  }))

it.live("keeps nothing of a value that was replaced or deleted", () =>
  Effect.gen(function*() {
    const file = join(yield* directory, "db.sqlite")
    yield* Effect.scoped(Effect.flatMap(Layer.build(layerDatabase(file)), (context) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const long = "and more than a page of it ".repeat(1000)
        for (const name of ["deleted", "replaced"]) {
          yield* sql`INSERT INTO agents ${sql.insert({ name, pool: "", firstSeenAt: `the value, ${name}`, seenAt: `the value, ${long}` })}`
        }
        yield* sql`DELETE FROM agents WHERE name = 'deleted'`
        yield* sql`UPDATE agents SET firstSeenAt = 'kept', seenAt = 'kept'`
      }).pipe(Effect.provide(context))))
    const bytes = readFileSync(file, "latin1")
    expect(["kept", "the value", "more than a page"].map((text) => bytes.includes(text))).toEqual([true, false, false])
  }))

it.live("has a row of an agent for each pool, and those of a version that had one for each name", () =>
  Effect.gen(function*() {
    const file = join(yield* directory, "db.sqlite")
    const open = <A, E>(use: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>) =>
      Effect.scoped(Effect.flatMap(Layer.build(layerDatabase(file)), (context) => use(Context.get(context, SqlClient.SqlClient))))
    const [firstSeenAt, seenAt] = ["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"]
    const before = [{ name: "a", pool: "prod", resting: "full" }, { name: "b", pool: null, resting: null }]
    yield* open((sql) =>
      Effect.gen(function*() {
        for (const statement of withoutAgentsOfPools.split("; ")) yield* sql.unsafe(statement)
        for (const agent of before) yield* sql`INSERT INTO agents ${sql.insert({ ...agent, firstSeenAt, seenAt })}`
      })
    )
    const kept = before.map((agent) => ({ ...agent, pool: agent.pool ?? "", firstSeenAt, seenAt }))
    yield* open((sql) =>
      Effect.gen(function*() {
        expect(yield* sql`SELECT * FROM agents ORDER BY name, pool`).toEqual(kept)
        yield* sql`INSERT INTO agents ${sql.insert({ name: "a", pool: "dev", firstSeenAt, seenAt })}`
      })
    )
  }))

it.live("once notes which refused states a person had decided on, and what was stored when they came, by the times that tell it alone", () =>
  Effect.gen(function*() {
    const file = join(yield* directory, "db.sqlite")
    const at = <A, E>(use: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>) =>
      Effect.scoped(
        Effect.flatMap(
          Layer.build(layerDatabase(file)),
          (context) => Effect.flatMap(SqlClient.SqlClient, use).pipe(Effect.provide(context))
        )
      )
    const [before, settled, after] = ["2026-01-31T12:00:00Z", "2026-01-31T13:00:00Z", "2026-01-31T14:00:00Z"] as const
    const states = [
      { stageId: "decided", receivedAt: before, decided: 1 },
      { stageId: "decided", receivedAt: after, decided: 0 },
      { stageId: "waits", receivedAt: before, decided: 0 },
      { stageId: "other", receivedAt: before, decided: 0 }
    ]
    yield* at((sql) =>
      Effect.gen(function*() {
        yield* sql`ALTER TABLE evidence DROP COLUMN decided`
        yield* sql`ALTER TABLE evidence DROP COLUMN storedVersionId`
        yield* sql`DROP TABLE retentionPasses`
        yield* sql`DROP TABLE logsToRemove`
        yield* sql`DROP INDEX stagesOfAgents`
        yield* sql`DROP INDEX workspacesByLockHolder`
        yield* sql`ALTER TABLE runs DROP COLUMN stoppedBy`
        yield* sql`DROP INDEX runsSaved`
        yield* sql`DROP INDEX runsPending`
        yield* sql`ALTER TABLE runs DROP COLUMN saved`
        yield* sql`ALTER TABLE runs DROP COLUMN mayAsk`
        yield* sql`ALTER TABLE runs DROP COLUMN allowEmptyApply`
        for (const statement of withoutPools.split("; ")) yield* sql.unsafe(statement)
        yield* sql`DROP INDEX agentsByAge`
        yield* sql`CREATE INDEX runsPending ON runs (workspaceId, seq) WHERE status = 'pending'`
        yield* sql`DELETE FROM effect_sql_migrations WHERE migration_id >= 19`
        yield* sql`PRAGMA foreign_keys = OFF`
        yield* Effect.forEach([{ stageId: "decided", settledAt: settled }, { stageId: "waits", settledAt: null }], (rescue, seq) =>
          sql`INSERT INTO rescues ${
            sql.insert({ ...rescue, id: `res-${seq}`, seq, workspaceId: "w", reason: "Lost", message: "lost", openedAt: before })
          }`)
        yield* Effect.forEach(states, ({ receivedAt, stageId }, seq) =>
          sql`INSERT INTO evidence ${
            sql.insert({
              id: `ev-${seq}`,
              seq,
              workspaceId: "w",
              stageId,
              serial: 1,
              lineage: "l",
              sha256: `${seq}`,
              sizeBytes: 1,
              why: "late",
              receivedAt
            })
          }`)
        yield* Effect.forEach([before, settled], (createdAt, seq) =>
          sql`INSERT INTO stateVersions ${
            sql.insert({
              id: `sv-${seq}`,
              seq,
              workspaceId: "w",
              serial: seq,
              lineage: "l",
              sha256: "",
              sizeBytes: 1,
              epoch: seq,
              createdAt
            })
          }`)
      })
    )
    expect(yield* at((sql) => sql`SELECT stageId, receivedAt, decided FROM evidence ORDER BY seq`)).toEqual(states)
    expect(yield* at((sql) => sql`SELECT storedVersionId AS id FROM evidence ORDER BY seq`)).toEqual([
      { id: "sv-0" },
      { id: "sv-1" },
      { id: "sv-0" },
      { id: "sv-0" }
    ])
  }))

it.live("leaves a database alone that a newer version wrote", () =>
  Effect.gen(function*() {
    const file = join(yield* directory, "db.sqlite")
    yield* Effect.scoped(Effect.flatMap(Layer.build(layerDatabase(file)), (context) =>
      Effect.flatMap(SqlClient.SqlClient, (sql) =>
        sql`INSERT INTO effect_sql_migrations (migration_id, name) VALUES (1000, 'of_tomorrow')`).pipe(Effect.provide(context))))
    const { message } = yield* Effect.flip(Effect.scoped(Layer.build(layerDatabase(file))))
    expect(message).toMatch(
      /^The database \S+db\.sqlite is of a newer version of agent-job \(schema 1000, this one knows \d+\); start that version again \(delete the server's Pod if it is not replaced\), or restore a copy from before the upgrade\.$/u
    )
  }))

it.live("tells the log at its start, before anything else, that pages of it are damaged, which nobody has read yet", () =>
  Effect.gen(function*() {
    const file = join(yield* directory, "db.sqlite")
    const said: Array<unknown> = []
    const logger = Logger.make(({ logLevel, message }) => said.push([logLevel, message]))
    const open = <A, E>(use: Effect.Effect<A, E, SqlClient.SqlClient>) =>
      Effect.scoped(Effect.flatMap(Layer.build(layerDatabase(file)), (context) => Effect.provide(use, context))).pipe(
        Effect.provide(Logger.layer([logger]))
      )
    yield* open(Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      for (let nth = 0; nth < 100; nth++) {
        yield* sql`INSERT INTO agents ${sql.insert({ name: `agent-${nth}`, pool: "", firstSeenAt: "a", seenAt: "a".repeat(400) })}`
      }
    }))
    yield* open(Effect.void)
    expect(said).toEqual([])
    const bytes = readFileSync(file)
    bytes.fill("damaged", bytes.lastIndexOf("agent-50") - 2000, bytes.lastIndexOf("agent-50"))
    writeFileSync(file, bytes)
    yield* open(Effect.void)
    expect(said).toEqual([[
      "Error",
      [
        "the database is damaged, and what is in the damaged pages cannot be read: stop the server, keep a copy of its data directory, and restore the database from a backup, see docs/state.md",
        { file, findings: expect.arrayContaining([expect.any(String)]) }
      ]
    ]])
  }))
