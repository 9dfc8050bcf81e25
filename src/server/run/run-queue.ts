// Which runs of a workspace begin: one that applies holds it to its end, and plans that hold nothing (plan-only, saved) go on beside that.
// Invariant: of the latter, at most `mostAhead` are with agents that have not begun them, so that thousands of one workspace keep no room in a
// cluster from others; the rest wait here, oldest first. Used by runs, assignments, run-view and the TFE routes.
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import type { RunStatus } from "../../schema/api/run.ts"
import { RunId } from "../../schema/names.ts"
import { counted, row, rows } from "../store/database.ts"
import { Stages } from "./stages.ts"

/** What of a run says how it waits. */
interface Queued {
  readonly id: string
  readonly seq: number
  readonly workspaceId: string
  readonly status: RunStatus
  readonly planOnly: boolean
  readonly saved: boolean
  readonly rescueId: string | null
}

/** How many plans of a workspace that hold nothing may be with agents, or offered to them, and not begun: as many as run at once by default. */
export const mostAhead = 10

/** Reports whether the run waits for its workspace before it plans. */
export const queues = ({ planOnly, rescueId, saved }: Pick<Queued, "planOnly" | "rescueId" | "saved">): boolean =>
  !planOnly && !saved && rescueId === null
/** The same in SQL, as the index `runsPending` has it. */
const queuing = "runs.planOnly = 0 AND runs.saved = 0 AND runs.rescueId IS NULL"

const Id = Schema.Struct({ id: RunId })

export class RunQueue extends Context.Service<RunQueue, {
  /**
   * Returns how many runs of its workspace go before it, without the holder of the workspace and the plans that are offered; 0 if its first
   * stage is there.
   */
  readonly before: (run: Queued) => Effect.Effect<number, SqlError.SqlError>
  /** Returns the oldest plan beside the holder of the workspace that has not begun. */
  readonly oldestAhead: (workspaceId: string) => Effect.Effect<RunId | undefined, SqlError.SqlError>
  /**
   * Begins a run that was just created, if it is its turn. An import does not wait, because what the others of the workspace wait for may be
   * that it ends.
   */
  readonly join: (run: Pick<Queued, "rescueId" | "workspaceId"> & { readonly id: RunId }) => Effect.Effect<void, SqlError.SqlError>
  /** Begins the runs of a workspace whose turn has come: the next holder if there is none, and the next plans beside it. */
  readonly advance: (workspaceId: string) => Effect.Effect<void, SqlError.SqlError>
}>()("agent-job/server/RunQueue") {
  static readonly layer = Layer.effect(RunQueue, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const stages = yield* Stages

  const waits = sql.literal(queuing)
  const isBeside = sql.literal(`NOT (${queuing})`)
  const hasStage = (run: Statement.Fragment) => sql`EXISTS (SELECT 1 FROM stages WHERE stages.runId = ${run})`

  /** Gives a free workspace to its oldest pending run. */
  const advanceHolder = Effect.fnUntraced(function*(workspaceId: string) {
    const next = yield* row(Id)(
      sql`SELECT runs.id FROM runs JOIN workspaces ON workspaces.id = runs.workspaceId
        WHERE runs.workspaceId = ${workspaceId} AND runs.status = 'pending' AND ${waits} AND workspaces.currentRunId IS NULL ORDER BY runs.seq LIMIT 1`
    )
    if (next === undefined) return
    yield* sql`UPDATE workspaces SET currentRunId = ${next.id} WHERE id = ${workspaceId}`
    yield* stages.create(next.id, "plan")
  })

  /** Of the plans beside the holder, those that are pending and have a stage: the oldest, so what is younger than ten needs no look. */
  const offered = (workspaceId: string) =>
    sql`SELECT id, seq FROM (SELECT id, seq FROM runs WHERE workspaceId = ${workspaceId} AND status = 'pending' AND ${isBeside} ORDER BY seq LIMIT ${mostAhead}) AS oldest WHERE ${
      hasStage(sql`oldest.id`)
    }`
  /** Those that have not begun. A cluster that is drained begins none, so what waits there makes room for what other clusters may take. */
  const ahead = (workspaceId: string) =>
    sql`${offered(workspaceId)}
      UNION ALL SELECT runs.id, runs.seq FROM runs JOIN stages ON stages.runId = runs.id
        WHERE runs.workspaceId = ${workspaceId} AND runs.status = 'planning' AND ${isBeside} AND stages.startedAt IS NULL AND stages.endedAt IS NULL
          AND stages.waitReason IS NOT 'Draining'`

  const before = ({ id, seq, status, workspaceId, ...run }: Queued) => {
    if (status !== "pending") return Effect.succeed(0)
    const pending = sql`FROM runs JOIN workspaces ON workspaces.id = runs.workspaceId
      WHERE runs.workspaceId = ${workspaceId} AND runs.status = 'pending' AND runs.seq < ${seq}`
    return counted(
      queues(run)
        ? sql`SELECT count(*) AS n ${pending} AND ${waits} AND runs.id IS NOT workspaces.currentRunId`
        : sql`SELECT MAX(0, count(*) - (SELECT count(*) FROM (${offered(workspaceId)}))) AS n ${pending} AND ${isBeside}
          AND NOT ${hasStage(sql`${id}`)}`
    )
  }

  const advanceBeside = Effect.fnUntraced(function*(workspaceId: string) {
    const room = mostAhead - (yield* counted(sql`SELECT count(*) AS n FROM (${ahead(workspaceId)})`))
    if (room <= 0) return
    const next = yield* rows(Id)(
      sql`SELECT id FROM runs WHERE workspaceId = ${workspaceId} AND status = 'pending' AND ${isBeside} AND NOT ${
        hasStage(sql`runs.id`)
      } ORDER BY seq LIMIT ${room}`
    )
    yield* Effect.forEach(next, ({ id }) => stages.create(id, "plan"), { discard: true })
  })

  const advance = (workspaceId: string) => Effect.andThen(advanceHolder(workspaceId), advanceBeside(workspaceId))

  return RunQueue.of({
    before,
    oldestAhead: (workspaceId) =>
      Effect.map(row(Id)(sql`SELECT id FROM (${ahead(workspaceId)}) ORDER BY seq LIMIT 1`), (found) => found?.id),
    join: (run) => run.rescueId !== null ? stages.create(run.id, "plan") : advance(run.workspaceId),
    advance
  })
})
