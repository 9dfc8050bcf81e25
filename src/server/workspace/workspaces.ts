// Workspaces, in each of which runs exclude each other, with their settings and the run that holds each.
// A workspace is never deleted here; its states are in server/workspace/state-versions, its lock in server/workspace/state-locks.
// Used by the stores and by the TFE and state routes.
import { Context, Effect, Equal, Layer, Schema } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import type { Reach } from "../../core/text/token-lines.ts"
import { LockInfo } from "../../schema/api/task-api.ts"
import { RunId, Timestamp, WorkspaceName } from "../../schema/names.ts"
import { invalid, orNotFound, type StoreFailure } from "../refused.ts"
import { actsOn, endsAs } from "../store/act.ts"
import { Commits } from "../store/commits.ts"
import { row, rows } from "../store/database.ts"
import { newId } from "../store/ids.ts"
import { now } from "../store/instants.ts"

export const Workspace = Schema.Struct({
  id: Schema.String,
  name: WorkspaceName,
  autoApply: Schema.BooleanFromBit,
  terraformVersion: Schema.String,
  workingDirectory: Schema.String,
  /** The one that it is bound to, if any. */
  pool: Schema.NullOr(Schema.String),
  createdAt: Timestamp,
  currentRunId: Schema.NullOr(RunId),
  stateVersionId: Schema.NullOr(Schema.String),
  epoch: Schema.Int,
  lockInfo: Schema.NullOr(Schema.fromJsonString(LockInfo)),
  lockHolder: Schema.NullOr(Schema.String)
})
export type Workspace = typeof Workspace.Type

export type WorkspaceSettings = Pick<Workspace, "autoApply" | "terraformVersion" | "workingDirectory" | "pool">

export class Workspaces extends Context.Service<Workspaces, {
  readonly find: (name: string) => Effect.Effect<Workspace | undefined, SqlError.SqlError>
  /** Returns the workspace of that name; fails with 404 if there is none. */
  readonly named: (name: string) => Effect.Effect<Workspace, StoreFailure>
  /** Returns the workspace with that id; fails with 404 if there is none. */
  readonly get: (id: string) => Effect.Effect<Workspace, StoreFailure>
  /** All workspaces, sorted by name. */
  readonly list: Effect.Effect<ReadonlyArray<Workspace>, SqlError.SqlError>
  /** Returns those of the workspaces whose names contain `part`, sorted by name. */
  readonly search: (reach: Reach, part: string, limit: number, offset: number) => Effect.Effect<ReadonlyArray<Workspace>, SqlError.SqlError>
  /**
   * Returns the workspace of that name: created with the settings if there is none, otherwise as it is. Fails with 422 as `update`, and if
   * it is there with other settings than those that are given.
   */
  readonly ensure: (name: WorkspaceName, settings?: Partial<WorkspaceSettings>) => Effect.Effect<Workspace, StoreFailure>
  /** Does the same, and tells what is recorded of the request which workspace it was. */
  readonly create: (name: WorkspaceName, settings: Partial<WorkspaceSettings>) => Effect.Effect<Workspace, StoreFailure>
  /** Changes the settings that are given. Fails with 422 if the working directory is not a path inside of the configuration. */
  readonly update: (id: string, settings: Partial<WorkspaceSettings>) => Effect.Effect<Workspace, StoreFailure>
}>()("agent-job/server/Workspaces") {
  static readonly layer = Layer.effect(Workspaces, Effect.suspend(() => make))
}

/** Holds for the rows of `workspaces` that a token is for. GLOB reads the patterns as core/run/permission does. */
export const within = (sql: SqlClient.SqlClient, reach: Reach): Statement.Fragment =>
  reach === "all" ? sql`TRUE` : sql.or([sql`FALSE`, ...reach.map((pattern) => sql`workspaces.name GLOB ${pattern}`)])

const checked = (settings: Partial<WorkspaceSettings>) =>
  settings.workingDirectory !== undefined &&
    (settings.workingDirectory.startsWith("/") || settings.workingDirectory.split("/").includes(".."))
    ? Effect.fail(invalid("The working directory must be a path below the root of the configuration, without '..'."))
    : Effect.succeed(settings)

/** Tells what is recorded of the request which pool it gives to the workspace, and whether runs apply by themselves from then on. */
const tellSettings = ({ autoApply, pool }: Partial<WorkspaceSettings>) =>
  endsAs(
    ...(pool === undefined ? [] : [pool === null ? "no pool" as const : `pool ${pool}` as const]),
    ...(autoApply === undefined ? [] : [autoApply ? "auto-apply" as const : "no auto-apply" as const])
  )

const otherSettings = ({ id, name }: Workspace) =>
  invalid(
    `The workspace ${name} exists with other settings, so nothing was made; change them with PATCH /api/v2/workspaces/${id}, or leave them out.`
  )

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const commits = yield* Commits
  const one = row(Workspace)

  const find = (name: string) => one(sql`SELECT * FROM workspaces WHERE name = ${name}`)
  const named = (name: string) => Effect.flatMap(find(name), orNotFound)
  const get = (id: string) => Effect.flatMap(one(sql`SELECT * FROM workspaces WHERE id = ${id}`), orNotFound)
  const list = rows(Workspace)(sql`SELECT * FROM workspaces ORDER BY name`)

  const search = (reach: Reach, part: string, limit: number, offset: number) =>
    rows(Workspace)(
      sql`SELECT * FROM workspaces WHERE ${within(sql, reach)} AND instr(name, ${part}) > 0 ORDER BY name LIMIT ${limit} OFFSET ${offset}`
    )

  const ensure = Effect.fn("Workspaces.ensure")(function*(name: WorkspaceName, settings: Partial<WorkspaceSettings> = {}) {
    const id = yield* newId("ws")
    const made = {
      id,
      name,
      createdAt: yield* now,
      autoApply: false,
      terraformVersion: "latest",
      workingDirectory: "",
      ...(yield* checked(settings))
    }
    yield* sql`INSERT INTO workspaces ${sql.insert(made)} ON CONFLICT (name) DO NOTHING`
    const found = yield* named(name)
    return Equal.equals({ ...found, ...settings }, found) ? found : yield* otherSettings(found)
  })

  const create = (name: WorkspaceName, settings: Partial<WorkspaceSettings>) =>
    ensure(name, settings).pipe(
      Effect.tap(({ id }) => actsOn(id)),
      Effect.tap(tellSettings(settings)),
      sql.withTransaction
    )

  const update = Effect.fn("Workspaces.update")(function*(id: string, settings: Partial<WorkspaceSettings>) {
    const changed = yield* checked(settings)
    if (Object.keys(changed).length > 0) yield* sql`UPDATE workspaces SET ${sql.update(changed)} WHERE id = ${id}`
    if (changed.pool !== undefined) yield* commits.news("assignments") // agents of the new pool may wait for its stages
    yield* tellSettings(changed)
    return yield* get(id)
  }, sql.withTransaction)

  return Workspaces.of({ find, named, get, list, search, ensure, create, update })
})
