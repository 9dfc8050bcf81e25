// The stages of runs as they are stored: one row is one assignment, from its creation to its result.
// Waiting → offered → acknowledged → started → ended; a time that is set says that the stage came so far.
// Used by runs (creates and withdraws them), assignments (offers them), stage-ends (ends them) and the views.
import { Clock, Context, Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import type { Step } from "../../core/run/run-machine.ts"
import { EffectAction, Effected, LeftOver } from "../../schema/api/effects.ts"
import { assignmentId } from "../../schema/api/pool-api.ts"
import { RunId, Timestamp } from "../../schema/names.ts"
import { Stage } from "../../schema/task/agent-task.ts"
import type { Reason } from "../../schema/task/reason.ts"
import { ToldResult } from "../../schema/task/stage-result.ts"
import { orNotFound, type StoreFailure } from "../refused.ts"
import { Commits } from "../store/commits.ts"
import { isAny, row, rows } from "../store/database.ts"
import { now } from "../store/instants.ts"

const stored = Schema.Array(Schema.Struct({ ...Effected.fields, action: EffectAction }))
const StoredLeftOver = Schema.Struct({ ...LeftOver.fields, unsaved: stored, unknown: stored, unseen: Schema.optionalKey(stored) })

export const StageRow = Schema.Struct({
  id: Schema.String,
  seq: Schema.Int,
  runId: RunId,
  stage: Stage,
  attempt: Schema.Int,
  agent: Schema.NullOr(Schema.String),
  agentPool: Schema.NullOr(Schema.String),
  taskUid: Schema.NullOr(Schema.String),
  notBefore: Schema.NullOr(Timestamp),
  offeredAt: Schema.NullOr(Timestamp),
  offers: Schema.Int,
  acknowledgedAt: Schema.NullOr(Timestamp),
  startedAt: Schema.NullOr(Timestamp),
  endedAt: Schema.NullOr(Timestamp),
  waitReason: Schema.NullOr(Schema.String),
  waitMessage: Schema.NullOr(Schema.String),
  result: Schema.NullOr(Schema.fromJsonString(ToldResult)),
  effects: Schema.NullOr(Schema.fromJsonString(StoredLeftOver)),
  cancelSeq: Schema.NullOr(Schema.Int),
  logEnd: Schema.Int,
  logStored: Schema.Int,
  planBytes: Schema.Int
})
export type StageRow = typeof StageRow.Type

/** Why a stage waits that is to be cancelled, by the word of its own agent, which has no AgentTask of it. */
export const goneWait = (agent: string): { readonly waitReason: Reason; readonly waitMessage: string } => ({
  waitReason: "Lost",
  waitMessage: `Agent ${agent} has no AgentTask of it.`
})

/** Returns the run's step that a stage is: `destroy` is the apply of a run that destroys. */
export const stepOf = (stage: Stage): Step => stage === "plan" ? "plan" : "apply"

/** Returns the status of a stage in the words of the TFE API, on which its clients wait. */
export const stepStatus = (stage: StageRow): "pending" | "running" | "finished" | "errored" | "canceled" => {
  if (stage.result !== null) {
    return stage.result.outcome === "succeeded"
      ? "finished"
      : stage.result.outcome === "failed"
      ? "errored"
      : "canceled"
  }
  if (stage.endedAt !== null) return "canceled"
  return stage.acknowledgedAt === null ? "pending" : "running"
}

export class Stages extends Context.Service<Stages, {
  readonly find: (id: string) => Effect.Effect<StageRow | undefined, SqlError.SqlError>
  /** Fails with 404 if there is no such stage. */
  readonly get: (id: string) => Effect.Effect<StageRow, StoreFailure>
  /** Returns the stages of a run, oldest first. */
  readonly ofRun: (runId: string) => Effect.Effect<ReadonlyArray<StageRow>, SqlError.SqlError>
  /** Returns the same without what they left behind, which may be large. */
  readonly listedOf: (runId: string) => Effect.Effect<ReadonlyArray<StageRow>, SqlError.SqlError>
  /** Returns the newest stage of a workspace that is over. */
  readonly newestOver: (workspaceId: string) => Effect.Effect<StageRow | undefined, SqlError.SqlError>
  /** Creates the first attempt at a stage of the run. */
  readonly create: (runId: RunId, stage: Stage) => Effect.Effect<void, SqlError.SqlError>
  /** Creates the next attempt at a stage that is over. `again` says why, and from when it may be offered. */
  readonly createAgain: (
    stage: StageRow,
    again: Pick<StageRow, "notBefore" | "waitMessage" | "waitReason">
  ) => Effect.Effect<void, SqlError.SqlError>
  /**
   * Puts the run's stages that an agent may have on the feed of cancellations: those that were offered, and of those that change something
   * all, because this database may be a copy from before the offer.
   */
  readonly cancel: (runId: RunId) => Effect.Effect<void, SqlError.SqlError>
  /**
   * Puts a stage on the feed that was over before its task was heard of. An agent whose cursor is past the stage hears of it once more; of
   * one that was withdrawn, and has no result, until its task has said how it ended.
   */
  readonly cancelLate: (id: string) => Effect.Effect<void, SqlError.SqlError>
  /**
   * Ends the stage that a run which is over may still have open. No agent has acknowledged it, since a run ends with its stage from then on:
   * its token is void, and an agent that took it all the same is told to cancel it.
   */
  readonly withdraw: (runId: RunId) => Effect.Effect<void, SqlError.SqlError>
  /**
   * Reports whether a stage ended without the word of its task, and without a rescue: by an agent that has no such task, while another may
   * have it, or by force.
   */
  readonly isUnheard: (id: string) => Effect.Effect<boolean, SqlError.SqlError>
}>()("agent-job/server/Stages") {
  static readonly layer = Layer.effect(Stages, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const commits = yield* Commits

  const find = (id: string) => row(StageRow)(sql`SELECT * FROM stages WHERE id = ${id}`)
  const get = (id: string) => Effect.flatMap(find(id), orNotFound)
  const ofRun = (runId: string) => rows(StageRow)(sql`SELECT * FROM stages WHERE runId = ${runId} ORDER BY seq`)
  const small = sql.literal(Object.keys(StageRow.fields).filter((field) => field !== "effects").join(", "))
  const listedOf = (runId: string) => rows(StageRow)(sql`SELECT ${small}, NULL AS effects FROM stages WHERE runId = ${runId} ORDER BY seq`)

  const newestOver = (workspaceId: string) =>
    row(StageRow)(
      sql`SELECT stages.* FROM runs JOIN stages ON stages.runId = runs.id WHERE runs.workspaceId = ${workspaceId} AND stages.endedAt IS NOT NULL ORDER BY runs.seq DESC, stages.seq DESC LIMIT 1`
    )

  const create = Effect.fn("Stages.create")(function*(runId: RunId, stage: Stage, attempt = 1) {
    yield* sql`INSERT INTO stages (id, seq, runId, stage, attempt) SELECT ${
      assignmentId(runId, stage, attempt)
    }, COALESCE(MAX(seq), 0) + 1, ${runId}, ${stage}, ${attempt} FROM stages`
    yield* commits.news("assignments")
  })

  const createAgain = Effect.fn("Stages.createAgain")(
    function*({ attempt, runId, stage }: StageRow, again: Pick<StageRow, "notBefore" | "waitMessage" | "waitReason">) {
      yield* create(runId, stage, attempt + 1)
      yield* sql`UPDATE stages SET ${sql.update({ ...again })} WHERE id = ${assignmentId(runId, stage, attempt + 1)}`
    }
  )

  /**
   * Returns the next number on the feed of cancellations, in SQL. It is the time, because a plain counter would, in a restored copy, give
   * numbers again that the agents' cursors have passed.
   */
  const nextCancelSeq = Effect.map(Clock.currentTimeMillis, (at) => sql`(SELECT MAX(COALESCE(MAX(cancelSeq), 0) + 1, ${at}) FROM stages)`)

  const cancel = Effect.fn("Stages.cancel")(function*(runId: RunId) {
    const cancelled = yield* sql`UPDATE stages SET cancelSeq = ${yield* nextCancelSeq}
      WHERE runId = ${runId} AND (offeredAt IS NOT NULL OR stage <> 'plan') AND result IS NULL RETURNING id`
    if (cancelled.length > 0) yield* commits.news("cancellations")
  })

  const cancelLate = Effect.fn("Stages.cancelLate")(function*(id: string) {
    yield* sql`UPDATE stages SET cancelSeq = ${yield* nextCancelSeq}, forced = result IS NOT NULL WHERE id = ${id}`
    yield* commits.news("cancellations")
  })

  const withdraw = Effect.fn("Stages.withdraw")(function*(runId: RunId) {
    yield* sql`UPDATE stages SET endedAt = ${yield* now} WHERE runId = ${runId} AND endedAt IS NULL`
    yield* cancel(runId)
  })

  const isUnheard = (id: string) =>
    isAny(
      sql`SELECT id FROM stages WHERE id = ${id} AND forced = 1 AND NOT EXISTS (SELECT 1 FROM rescues WHERE stageId = ${id})`
    )

  return Stages.of({ find, get, ofRun, listedOf, newestOver, create, createAgain, cancel, cancelLate, withdraw, isUnheard })
})
