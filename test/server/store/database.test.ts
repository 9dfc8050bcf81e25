import { expect, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { SqlClient } from "effect/sql"
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { layerDatabase } from "../../../src/server/store/database.ts"
import { canBeNameless, nameless } from "../../nameless.ts"
import { directory } from "../live-server.ts"

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
    chmodSync(file, 0o644) // as where a copy was put back by another user
    yield* nameless
    expect((yield* Effect.flip(open)).message).toMatch(/cannot be opened .* the server's user may write both the file and its directory/u)
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

/** Expects that a database is refused, and stays as it is to the byte, whose last step was this one. */
const isRefused = (last: number, mode: "delete" | "wal", said: RegExp) =>
  Effect.gen(function*() {
    const file = join(yield* directory, "db.sqlite")
    yield* Effect.scoped(Layer.build(layerDatabase(file)))
    const db = new DatabaseSync(file)
    db.exec(`PRAGMA journal_mode = ${mode}; DELETE FROM effect_sql_migrations`)
    db.exec(`INSERT INTO effect_sql_migrations (migration_id, name) VALUES (${last}, 'of_another_day')`)
    db.close()
    const before = readFileSync(file)
    expect((yield* Effect.flip(Effect.scoped(Layer.build(layerDatabase(file))))).message).toMatch(said)
    expect(readFileSync(file).equals(before), "the file is as it was").toBe(true)
  })

it.live("leaves a database alone that a newer version wrote", () =>
  isRefused(
    1000,
    "wal",
    /^The database \S+db\.sqlite is of a newer version of agent-job \(schema 1000, this one knows \d+\); start that version again \(delete the server's Pod if it is not replaced\), or restore a copy from before the upgrade\.$/u
  ))

it.live.each([
  { last: 37, mode: "wal" } as const,
  { last: 1, mode: "delete" } as const // as a copy that SQLite wrote
])(
  "leaves a database alone that an early version wrote, with steps that are gone (schema $last, journal mode $mode)",
  ({ last, mode }) =>
    isRefused(
      last,
      mode,
      /^The database \S+db\.sqlite is of an early version of agent-job \(schema \d+, this one begins with 38\), so it was left as it is; start the version of commit [0-9a-f]{12} on it once, which brings it up to that, or begin with a new data directory\.$/u
    )
)

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
