// The one SQLite file: SqlClient on node:sqlite, WAL, every commit on disk before it is answered, and nothing left of what is deleted.
// The file belongs to one process: a second server on it refuses to start, since it would wake none of the first one's long polls.
// Used by every store of the server.
import { Effect, Layer, Schema, Semaphore, Stream } from "effect"
import { Reactivity } from "effect/reactivity"
import { Migrator, SqlClient, type SqlConnection, SqlError, Statement } from "effect/sql"
import { chmodSync, closeSync, openSync, statSync } from "node:fs"
import { DatabaseSync, type SQLInputValue } from "node:sqlite"
import { ServerError } from "../settings.ts"
import { CurrentAct, dueEntry } from "./act.ts"
import { checkPages } from "./integrity.ts"
import { lastWithEarlierSteps, migrations } from "./migrations.ts"

const duplicatePrimaryKey = 1555
const duplicateUnique = 2067

/** node:sqlite has SQLite's code in `errcode`, the classifier reads `errno`; a duplicate primary key is a unique violation to us. */
const failure = (cause: unknown, operation: string) => {
  const { errcode } = cause as { readonly errcode?: number }
  const known = Object.assign(cause as object, { errno: errcode === duplicatePrimaryKey ? duplicateUnique : errcode })
  return new SqlError.SqlError({ reason: SqlError.classifySqliteError(known, { operation }) })
}

/** node:sqlite takes no booleans. */
const bind = (value: unknown): SQLInputValue => typeof value === "boolean" ? Number(value) : value as SQLInputValue

const connect = (db: DatabaseSync): SqlConnection.Connection => {
  const prepared = new Map<string, ReturnType<DatabaseSync["prepare"]>>()
  const statement = (sql: string) => {
    const known = prepared.get(sql) ?? db.prepare(sql)
    prepared.set(sql, known)
    return known
  }
  const run = (sql: string, params: ReadonlyArray<unknown>, cached = true) =>
    Effect.try({
      try: () => (cached ? statement(sql) : db.prepare(sql)).all(...params.map(bind)),
      catch: (cause) => failure(cause, "execute")
    })
  const values = (sql: string, params: ReadonlyArray<unknown>) =>
    Effect.map(run(sql, params), (rows) => rows.map((row) => Object.values(row)))
  return {
    execute: (sql, params, transform) => Effect.map(run(sql, params), (rows) => transform?.(rows) ?? rows),
    executeRaw: run,
    executeStream: (sql, params) => Stream.fromIterableEffect(run(sql, params)),
    executeValues: values,
    executeValuesUnprepared: values,
    executeUnprepared: (sql, params) => run(sql, params, false)
  }
}

/** Commits a transaction, with the entry of the request that it is of, unless an earlier commit of the request wrote that. */
const commit = Effect.fnUntraced(function*(connection: SqlConnection.Connection) {
  const act = yield* CurrentAct
  const entry = yield* dueEntry(act)
  if (entry !== undefined) {
    const columns = Object.keys(entry)
    const statement = `INSERT INTO audit (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`
    yield* connection.execute(statement, Object.values(entry), undefined)
  }
  yield* connection.executeUnprepared("COMMIT", [], undefined)
  if (act !== undefined) act.isDue = false
})

const inMemory = ":memory:"
const isOpenToAll = 0o007

/**
 * Makes the file, and what an older version left, its owner's alone; SQLite gives its log the mode of the file. Only the owner can, so
 * another's file, as from a restore, stays as it is, with a warning.
 */
const closeToOthers = Effect.fnUntraced(function*(file: string) {
  if (file === inMemory) return
  yield* Effect.ignore(Effect.try(() => closeSync(openSync(file, "wx", 0o600)))) // before SQLite makes it, open to others
  for (const name of [file, `${file}-wal`]) yield* Effect.ignore(Effect.try(() => chmodSync(name, 0o600)))
  const mode = yield* Effect.orElseSucceed(Effect.try(() => statSync(file).mode), () => 0)
  if ((mode & isOpenToAll) !== 0) {
    yield* Effect.logWarning(
      `Every user of this machine may open the database ${file}, and the server cannot change that; give it to the user of the server, or make its mode 600.`
    )
  }
})

/** Returns the last step that was run on a database; undefined of a new one, and of one that cannot be read, as its next reader tells. */
const lastStep = (db: DatabaseSync): unknown => {
  try {
    return db.prepare("SELECT max(migration_id) AS id FROM effect_sql_migrations").get()?.["id"]
  } catch {
    return undefined
  }
}

/**
 * Fails, before anything in it is changed, if another version of agent-job made the database than this one can read: what a newer one wrote may
 * mean something else here, and the steps from before the first one are gone.
 */
const isReadable = Effect.fnUntraced(function*(file: string, last: unknown) {
  if (typeof last !== "number") return
  const ids = (yield* Effect.orDie(migrations)).map(([id]) => id)
  const [first, known] = [Math.min(...ids), Math.max(...ids)]
  if (last > known) {
    return yield* new ServerError({
      message:
        `The database ${file} is of a newer version of agent-job (schema ${last}, this one knows ${known}); start that version again (delete the server's Pod if it is not replaced), or restore a copy from before the upgrade.`
    })
  }
  if (last < first) {
    return yield* new ServerError({
      message:
        `The database ${file} is of an early version of agent-job (schema ${last}, this one begins with ${first}), so it was left as it is; start the version of commit ${lastWithEarlierSteps} on it once, which brings it up to that, or begin with a new data directory.`
    })
  }
})

const make = Effect.fnUntraced(function*(file: string) {
  yield* closeToOthers(file)
  const db = yield* Effect.acquireRelease(
    Effect.try({
      try: () => {
        const opened = new DatabaseSync(file, { timeout: 3000, enableForeignKeyConstraints: true })
        opened.exec("PRAGMA locking_mode = EXCLUSIVE")
        // Of a file that is made now alone: it is a write, for which a full disk may have no room.
        if (opened.prepare("PRAGMA page_count").get()?.["page_count"] === 0) opened.exec("PRAGMA auto_vacuum = INCREMENTAL")
        return opened
      },
      catch: (cause) => cannotOpen(file, cause)
    }),
    (opened) => Effect.sync(() => opened.close())
  )
  yield* isReadable(file, lastStep(db))
  yield* Effect.try({
    try: () => db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON"),
    catch: (cause) => cannotOpen(file, cause)
  })
  return yield* SqlClient.make({
    ...SqlClient.makeSqliteAcquirers({
      connection: Effect.succeed(connect(db)),
      semaphore: yield* Semaphore.make(1),
      isTransaction: () => db.isTransaction
    }),
    compiler: Statement.makeCompilerSqlite(),
    driver: "node:sqlite",
    beginTransaction: "BEGIN IMMEDIATE", // a deferred one can fail half way
    commit,
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    spanAttributes: [["db.system.name", "sqlite"]]
  })
})

const cannotOpen = (file: string, cause: unknown) => {
  const detail = cause instanceof Error ? cause.message : String(cause)
  return new ServerError({
    message: detail.includes("locked") // which SQLite also says where the file system gives no locks (ENOLCK)
      ? `The database ${file} is locked; stop the other process that has it open, or give this server a data directory of its own, on block storage and not on NFS or SMB.`
      : `The database ${file} cannot be opened (${detail}); check that the server's user may write both the file and its directory, and that it is a SQLite database.`
  })
}

/** A migrated database: nothing built on it can see another schema. */
export const layerDatabase = (file: string): Layer.Layer<SqlClient.SqlClient, ServerError> =>
  Layer.effectDiscard(
    (file === inMemory ? Effect.void : checkPages(file)).pipe(
      Effect.andThen(Migrator.make({})({ loader: migrations })),
      Effect.mapError((cause) => cannotOpen(file, cause))
    )
  ).pipe(
    Layer.provideMerge(Layer.effect(SqlClient.SqlClient, make(file))),
    Layer.provide(Reactivity.layer)
  )

/** Returns the rows of a statement, decoded. A row that does not decode is a defect, because nothing in this program writes such a row. */
export const rows = <S extends Schema.ConstraintDecoder<unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownEffect(Schema.Array(schema))
  return <E>(statement: Effect.Effect<ReadonlyArray<unknown>, E>): Effect.Effect<ReadonlyArray<S["Type"]>, E> =>
    Effect.flatMap(statement, (found) => Effect.orDie(decode(found)))
}

/** Returns the first row, or undefined if there is none. */
export const row = <S extends Schema.ConstraintDecoder<unknown>>(schema: S) => {
  const all = rows(schema)
  return <E>(statement: Effect.Effect<ReadonlyArray<unknown>, E>): Effect.Effect<S["Type"] | undefined, E> =>
    Effect.map(all(statement), ([first]) => first)
}

const count = row(Schema.Struct({ n: Schema.Int }))
/** Returns what a statement counts as `n`. */
export const counted = <E>(statement: Effect.Effect<ReadonlyArray<unknown>, E>): Effect.Effect<number, E> =>
  Effect.map(count(statement), (found) => found?.n ?? 0)

/** Reports whether a statement finds any row. */
export const isAny = <E>(statement: Effect.Effect<ReadonlyArray<unknown>, E>): Effect.Effect<boolean, E> =>
  Effect.map(statement, ({ length }) => length > 0)
