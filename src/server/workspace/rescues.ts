// Rescues: workspaces whose state is in doubt after the end of a stage, each open until a person settles it.
// Invariant: while one is open, only stages of its imports are offered in its workspace. It is settled once; who did it and how is kept.
// Used by stage-ends (opens them), by the view of runs, and by what settles them.
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { Timestamp } from "../../schema/names.ts"
import { conflict } from "../refused.ts"
import { Commits } from "../store/commits.ts"
import { row, rows } from "../store/database.ts"
import { newId } from "../store/ids.ts"
import { now } from "../store/instants.ts"

const Rescue = Schema.Struct({
  id: Schema.String,
  workspaceId: Schema.String,
  stageId: Schema.String,
  reason: Schema.String,
  message: Schema.String,
  openedAt: Timestamp,
  settledAt: Schema.NullOr(Timestamp),
  settledBy: Schema.NullOr(Schema.String),
  how: Schema.NullOr(Schema.String)
})
export type Rescue = typeof Rescue.Type

/** `message` says what is in doubt and why, as one sentence. */
type Doubt = Pick<Rescue, "workspaceId" | "stageId" | "reason" | "message">

/** The refusal where a workspace has no pending rescue. */
export const nothingPending = (name: string) =>
  conflict("nothing-pending", `Nothing of ${name} waits to be settled; see: agent-job state show ${name}`)

export class Rescues extends Context.Service<Rescues, {
  /** Returns the rescues of a workspace that were settled, newest first. */
  readonly settled: (workspaceId: string, limit: number) => Effect.Effect<ReadonlyArray<Rescue>, SqlError.SqlError>
  /** Returns the rescues of a workspace that nobody has settled, oldest first. */
  readonly pending: (workspaceId: string) => Effect.Effect<ReadonlyArray<Rescue>, SqlError.SqlError>
  /** Returns the newest rescue of a stage, settled or not. */
  readonly ofStage: (stageId: string) => Effect.Effect<Rescue | undefined, SqlError.SqlError>
  /** Opens a rescue, in the transaction that finds the doubt. If the stage has an open rescue, that one stays as it is. */
  readonly open: (doubt: Doubt) => Effect.Effect<void, SqlError.SqlError>
  /**
   * Settles a rescue that is pending, in the transaction in which the caller has read it; the stages that waited for it are offered from
   * then on. `how` is shown with the rescue.
   */
  readonly settle: (id: string, settledBy: string, how: string) => Effect.Effect<void, SqlError.SqlError>
}>()("agent-job/server/Rescues") {
  static readonly layer = Layer.effect(Rescues, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const commits = yield* Commits

  const open = Effect.fn("Rescues.open")(function*(doubt: Doubt) {
    const id = yield* newId("res")
    yield* sql`INSERT INTO rescues (id, seq, workspaceId, stageId, reason, message, openedAt)
      SELECT ${id}, COALESCE(MAX(seq), 0) + 1, ${doubt.workspaceId}, ${doubt.stageId}, ${doubt.reason}, ${doubt.message}, ${yield* now} FROM rescues WHERE true
      ON CONFLICT DO NOTHING`
  })

  const settle = Effect.fn("Rescues.settle")(function*(id: string, settledBy: string, how: string) {
    const settled = yield* sql`UPDATE rescues SET ${
      sql.update({ settledAt: yield* now, settledBy, how })
    } WHERE id = ${id} AND settledAt IS NULL RETURNING id`
    if (settled.length === 0) return yield* Effect.die(new Error(`the rescue ${id} is settled already`))
    yield* sql`UPDATE evidence SET decided = 1 WHERE stageId = (SELECT stageId FROM rescues WHERE id = ${id})`
    yield* commits.news("assignments")
  })

  return Rescues.of({
    settled: (workspaceId, limit) =>
      rows(Rescue)(
        sql`SELECT * FROM rescues WHERE workspaceId = ${workspaceId} AND settledAt IS NOT NULL ORDER BY seq DESC LIMIT ${limit}`
      ),
    pending: (workspaceId) =>
      rows(Rescue)(sql`SELECT * FROM rescues WHERE workspaceId = ${workspaceId} AND settledAt IS NULL ORDER BY seq`),
    ofStage: (stageId) => row(Rescue)(sql`SELECT * FROM rescues WHERE stageId = ${stageId} ORDER BY seq DESC LIMIT 1`),
    open,
    settle
  })
})
