// Which runs of a workspace begin: one that applies holds it to its end, and plans that hold nothing (plan-only, saved) go on beside that.
// Invariant: of the latter, at most `mostAhead` are with agents that may yet begin them, so that thousands of one workspace keep no room in a
// cluster from others; the rest wait here, oldest first. Used by runs, assignments, run-view, the TFE routes and the chores.
import { Array, Context, Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import type { RunStatus } from "../../schema/api/run.ts"
import { RunId } from "../../schema/names.ts"
import { counted, row, rows } from "../store/database.ts"
import { Agents } from "./agents.ts"
import { Pools } from "./pools.ts"
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
/** How many may be offered, those included that agents refuse: as many as an agent takes at once. */
const mostOffered = 100
/** How often a plan is offered, which takes minutes, before it counts no more while agents refuse it. */
const offersToRefuse = 10
/** How long an agent is not heard before what waits with it counts no more: longer than a controller is away for an upgrade. */
const goneMillis = 600_000

/** Reports whether the run waits for its workspace before it plans. */
export const queues = ({ planOnly, rescueId, saved }: Pick<Queued, "planOnly" | "rescueId" | "saved">): boolean =>
  !planOnly && !saved && rescueId === null
/** The same in SQL, as the index `runsPending` has it. */
const queuing = "runs.planOnly = 0 AND runs.saved = 0 AND runs.rescueId IS NULL"
/** Names the line in which the run waits: for its workspace, or beside the holder of that. */
export const lineOf = (run: Queued): string => `${run.workspaceId} ${queues(run)}`

const Id = Schema.Struct({ id: RunId })
/** A run of a line, and how many of it are older than all that are asked about. */
const Placed = Schema.Struct({ id: RunId, older: Schema.Int })
const InWorkspace = Schema.Struct({ workspaceId: Schema.String })

export class RunQueue extends Context.Service<RunQueue, {
  /**
   * Returns how many runs of its workspace go before each of these, without the holder of the workspace and the plans that are offered; 0 if
   * its first stage is there. It counts those of a line, of which there may be thousands, once for all.
   */
  readonly before: (runs: ReadonlyArray<Queued>) => Effect.Effect<(run: Pick<Queued, "id">) => number, SqlError.SqlError>
  /** Returns the oldest plan beside the holder of the workspace that has not begun, of those that others wait for if there are any. */
  readonly oldestAhead: (workspaceId: string) => Effect.Effect<RunId | undefined, SqlError.SqlError>
  /**
   * Begins a run that was just created, if it is its turn. An import does not wait, because what the others of the workspace wait for may be
   * that it ends.
   */
  readonly join: (run: Pick<Queued, "rescueId" | "workspaceId"> & { readonly id: RunId }) => Effect.Effect<void, SqlError.SqlError>
  /** Begins the runs of a workspace whose turn has come: the next holder if there is none, and the next plans beside it. */
  readonly advance: (workspaceId: string) => Effect.Effect<void, SqlError.SqlError>
  /**
   * Begins the plans beside all holders whose turn has come without a word of a run: an agent fell silent, or goes on refusing, or a
   * workspace was bound to another pool.
   */
  readonly advanceAll: Effect.Effect<void, SqlError.SqlError>
}>()("agent-job/server/RunQueue") {
  static readonly layer = Layer.effect(RunQueue, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const agents = yield* Agents
  const pools = yield* Pools
  const stages = yield* Stages

  const isQueuing = sql.literal(queuing)
  const isBeside = sql.literal(`NOT (${queuing})`)
  /** Holds for a plan beside the holder that waits for its turn. */
  const isInLine = sql`runs.status = 'pending' AND ${isBeside} AND NOT EXISTS (SELECT 1 FROM stages WHERE stages.runId = runs.id)`

  /** Gives a free workspace to its oldest pending run. */
  const advanceHolder = Effect.fnUntraced(function*(workspaceId: string) {
    const next = yield* row(Id)(
      sql`SELECT runs.id FROM runs JOIN workspaces ON workspaces.id = runs.workspaceId
        WHERE runs.workspaceId = ${workspaceId} AND runs.status = 'pending' AND ${isQueuing} AND workspaces.currentRunId IS NULL ORDER BY runs.seq LIMIT 1`
    )
    if (next === undefined) return
    yield* sql`UPDATE workspaces SET currentRunId = ${next.id} WHERE id = ${workspaceId}`
    yield* stages.create(next.id, "plan")
  })

  /**
   * Of the plans beside the holder, those that are offered, and those that agents have and have not begun. Each says whether it counts: not
   * where agents refuse it, nor where the cluster that has it is drained, gone, or of a pool to which its workspace is bound no more. If that
   * begins after all, a few more begin than there should, while all others would wait for what never begins.
   */
  const ahead = Effect.fnUntraced(function*(workspaceId: string) {
    const isRefused = sql`stages.waitReason IS 'Refused' AND stages.offers >= ${offersToRefuse}`
    const isHeard = yield* agents.heardWithin(goneMillis)
    const isOfPool = pools.mayTake(sql`stages.agentPool`)
    // Those with a stage are the oldest, so what is younger than so many needs no look.
    return sql`SELECT oldest.id, oldest.seq, NOT (${isRefused}) AS counts, 1 AS isOffered
        FROM (SELECT id, seq FROM runs WHERE workspaceId = ${workspaceId} AND status = 'pending' AND ${isBeside} ORDER BY seq LIMIT ${mostOffered}) AS oldest
        JOIN stages ON stages.runId = oldest.id WHERE stages.endedAt IS NULL
      UNION ALL SELECT runs.id, runs.seq, stages.waitReason IS NOT 'Draining' AND ${isHeard} AND ${isOfPool}, 0
        FROM runs JOIN stages ON stages.runId = runs.id
        WHERE runs.workspaceId = ${workspaceId} AND runs.status = 'planning' AND ${isBeside} AND stages.startedAt IS NULL AND stages.endedAt IS NULL`
  })

  /** Those of the run's line: for the workspace, without who holds it, or beside the holder, after all that are offered. */
  const inLineOf = ({ workspaceId, ...run }: Queued) =>
    queues(run)
      ? sql`runs JOIN workspaces ON workspaces.id = runs.workspaceId
        WHERE runs.workspaceId = ${workspaceId} AND runs.status = 'pending' AND ${isQueuing} AND runs.id IS NOT workspaces.currentRunId`
      : sql`runs WHERE runs.workspaceId = ${workspaceId} AND runs.status = 'pending' AND ${isBeside} AND runs.rescueId IS NULL AND runs.seq >= (
        SELECT runs.seq FROM runs WHERE runs.workspaceId = ${workspaceId} AND ${isInLine} ORDER BY runs.seq LIMIT 1)`

  const before = Effect.fnUntraced(function*(asked: ReadonlyArray<Queued>) {
    const lines = Array.groupBy(asked.filter(({ status }) => status === "pending"), lineOf)
    const places = yield* Effect.forEach(Object.values(lines), (line) => {
      const seqs = line.map(({ seq }) => seq)
      const [first, last] = [Math.min(...seqs), Math.max(...seqs)]
      const found = rows(Placed)(
        sql`SELECT runs.id, (SELECT count(*) FROM ${inLineOf(line[0])} AND runs.seq < ${first}) AS older
          FROM ${inLineOf(line[0])} AND runs.seq BETWEEN ${first} AND ${last} ORDER BY runs.seq`
      )
      return Effect.map(found, (inOrder) => inOrder.map(({ id, older }, nth) => [id, older + nth] as const))
    })
    const known = new Map<string, number>(places.flat())
    return ({ id }: Pick<Queued, "id">) => known.get(id) ?? 0
  })

  const advanceBeside = Effect.fnUntraced(function*(workspaceId: string) {
    const those = yield* ahead(workspaceId)
    const room = yield* counted(
      sql`SELECT MIN(${mostAhead} - COALESCE(SUM(counts), 0), ${mostOffered} - COALESCE(SUM(isOffered), 0)) AS n FROM (${those})`
    )
    if (room <= 0) return
    const next = yield* rows(Id)(
      sql`SELECT runs.id FROM runs WHERE runs.workspaceId = ${workspaceId} AND ${isInLine} ORDER BY runs.seq LIMIT ${room}`
    )
    yield* Effect.forEach(next, ({ id }) => stages.create(id, "plan"), { discard: true })
  })

  const advance = (workspaceId: string) => Effect.andThen(advanceHolder(workspaceId), advanceBeside(workspaceId))

  const advanceAll = Effect.gen(function*() {
    const inLine = yield* rows(InWorkspace)(sql`SELECT DISTINCT workspaceId FROM runs WHERE ${isInLine}`)
    yield* Effect.forEach(inLine, ({ workspaceId }) => sql.withTransaction(advanceBeside(workspaceId)), { discard: true })
  })

  return RunQueue.of({
    before,
    oldestAhead: Effect.fnUntraced(function*(workspaceId: string) {
      return (yield* row(Id)(sql`SELECT id FROM (${yield* ahead(workspaceId)}) ORDER BY counts DESC, seq LIMIT 1`))?.id
    }),
    join: (run) => run.rescueId !== null ? stages.create(run.id, "plan") : advance(run.workspaceId),
    advance,
    advanceAll
  })
})
