// Variables of workspaces, as people set them; a run's own variables are stored with the run and win over these.
// A sensitive value, or a run's own in its place, leaves the server only towards the worker of a stage.
// Used by the TFE routes and the task API.
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import type { StageVariable } from "../../schema/api/task-api.ts"
import { invalid, orNotFound, type StoreFailure } from "../refused.ts"
import { actsOn } from "../store/act.ts"
import { isAny, row, rows } from "../store/database.ts"
import { newId } from "../store/ids.ts"

export const WorkspaceVariable = Schema.Struct({
  id: Schema.String,
  workspaceId: Schema.String,
  key: Schema.String,
  value: Schema.String,
  description: Schema.String,
  category: Schema.Literals(["terraform", "env"]),
  hcl: Schema.BooleanFromBit,
  sensitive: Schema.BooleanFromBit
})
export type WorkspaceVariable = typeof WorkspaceVariable.Type
type NewVariable = Omit<WorkspaceVariable, "id" | "sensitive"> & { readonly sensitive: boolean | null }

/**
 * A run's own variable. `value` is an HCL expression, `sensitive` says that it was in the place of a sensitive one when the run was made, and
 * `declared` that the configuration has to declare it.
 */
export const RunVariable = Schema.Struct({
  key: Schema.String,
  value: Schema.String,
  sensitive: Schema.optionalKey(Schema.Boolean),
  declared: Schema.optionalKey(Schema.Boolean)
})
export type RunVariable = typeof RunVariable.Type

/** Returns whether a run's own variable is in the place of a sensitive one, or was when the run was made. */
export const isSensitive = (workspace: ReadonlyArray<WorkspaceVariable>, { key: name, sensitive: was = false }: RunVariable): boolean =>
  was || workspace.some(({ category, key, sensitive }) => sensitive && key === (category === "env" ? `TF_VAR_${name}` : name))

/** Returns a run's own variables as they are stored with it: what is sensitive stays so when the workspace's variable is gone. */
export const ownVariables = (workspace: ReadonlyArray<WorkspaceVariable>, run: ReadonlyArray<RunVariable>): ReadonlyArray<RunVariable> =>
  run.map((variable) => isSensitive(workspace, variable) ? { ...variable, sensitive: true } : variable)

/** Returns the variables of a stage: the workspace's, except those that the run sets itself, and the run's own. */
export const variablesOf = (workspace: ReadonlyArray<WorkspaceVariable>, run: ReadonlyArray<RunVariable>): ReadonlyArray<StageVariable> => [
  ...workspace
    .filter(({ category, key }) => category === "env" || !run.some((variable) => variable.key === key))
    .map(({ category, hcl, key, sensitive, value }) => ({ name: key, value, category, hcl, sensitive })),
  ...ownVariables(workspace, run).map(({ key, ...own }) => ({ name: key, ...own, category: "terraform" as const, hcl: true }))
]

/** What the variables of one workspace may be together: each stage, and each list of them, has all in memory, as JSON writes them. */
const most = { count: 500, bytes: 1024 * 1024 }
const tooMany = invalid(
  `A workspace has at most ${most.count} variables with ${most.bytes} bytes of values and descriptions together, as JSON writes them, so this one was not stored; remove some that it no longer needs, or put large values into files of the configuration.`
)

export class Variables extends Context.Service<Variables, {
  /** Returns the variables of a workspace, sorted by name. */
  readonly list: (workspaceId: string) => Effect.Effect<ReadonlyArray<WorkspaceVariable>, SqlError.SqlError>
  /** Removes a variable; fails with 404 if there is none. */
  readonly remove: (workspaceId: string, id: string) => Effect.Effect<void, StoreFailure>
  /**
   * Stores a variable. A workspace has one for each name and category; setting it again replaces it, and leaves it as sensitive as it was
   * where that is not said. Fails with 422 past the limits.
   */
  readonly set: (variable: NewVariable) => Effect.Effect<WorkspaceVariable, StoreFailure>
}>()("agent-job/server/Variables") {
  static readonly layer = Layer.effect(Variables, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient

  const isPastLimits = (workspaceId: string) =>
    isAny(sql`SELECT count(*) FROM variables WHERE workspaceId = ${workspaceId}
      HAVING count(*) > ${most.count} OR SUM(OCTET_LENGTH(json_quote(value || description)) - 2) > ${most.bytes}`)

  const list = (workspaceId: string) =>
    rows(WorkspaceVariable)(sql`SELECT * FROM variables WHERE workspaceId = ${workspaceId} ORDER BY key, category`)

  const set = Effect.fn("Variables.set")(function*({ sensitive, ...variable }: NewVariable) {
    const made = { id: yield* newId("var"), ...variable, sensitive: sensitive ?? false }
    const stored = yield* row(WorkspaceVariable)(
      sql`INSERT INTO variables ${sql.insert(made)} ON CONFLICT (workspaceId, key, category)
        DO UPDATE SET value = excluded.value, description = excluded.description, hcl = excluded.hcl, sensitive = COALESCE(${sensitive}, sensitive) RETURNING *`
    )
    if (stored === undefined) return yield* Effect.die(new Error("a variable was stored and is gone"))
    if (yield* isPastLimits(variable.workspaceId)) return yield* tooMany
    yield* actsOn(stored.id)
    return stored
  }, sql.withTransaction)

  const remove = Effect.fn("Variables.remove")(function*(workspaceId: string, id: string) {
    const removed = row(WorkspaceVariable.mapFields(({ key }) => ({ key })))(
      sql`DELETE FROM variables WHERE workspaceId = ${workspaceId} AND id = ${id} RETURNING key`
    )
    const { key } = yield* Effect.flatMap(removed, orNotFound)
    yield* actsOn(key) // nothing else knows what the id was of from now on
  }, sql.withTransaction)

  return Variables.of({ list, remove, set })
})
