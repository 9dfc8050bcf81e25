// What agents take from the pool: stages, each offered with a token of its own until it is acknowledged. Used by the pool and task routes.
// An offer without an acknowledgement is repeated after 30 s; to the same agent, which asks because the offer got lost, after 2 s at first.
// So two agents may have the same offer. The stage belongs to the AgentTask that takes it first, and all others are refused.
import { Clock, Context, Effect, Equal, Layer, Option, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { mostRetries, retryDelayMillis } from "../../core/run/disruption.ts"
import { RunEvent } from "../../core/run/run-machine.ts"
import { plainly } from "../../core/task/task-result.ts"
import type { Assignment } from "../../schema/api/pool-api.ts"
import { taskHeader } from "../../schema/api/task-api.ts"
import { mutates } from "../../schema/task/agent-task.ts"
import type { Reason } from "../../schema/task/reason.ts"
import type { ToldResult } from "../../schema/task/stage-result.ts"
import { newTaskToken, tokenHash } from "../access/tokens.ts"
import { conflict, invalid, type StoreFailure } from "../refused.ts"
import { Commits } from "../store/commits.ts"
import { counted, row, rows } from "../store/database.ts"
import { instantAfter, now } from "../store/instants.ts"
import { Runs, type WholeRun } from "./runs.ts"
import { StageEnds } from "./stage-ends.ts"
import { type StageRow, StageRow as Row, Stages, stepOf } from "./stages.ts"

const nodeSilent: Reason = "NodeUnreachable"

const offerMillis = 30_000
/**
 * How long the same agent waits until it is offered a stage again that was offered `offers` times. The wait grows, because an agent that
 * cannot keep what it is offered would otherwise ask in a tight loop.
 */
const sameAgentMillis = (offers: number): number => Math.min(2_000 * 2 ** (offers - 1), offerMillis)

/**
 * Returns when the stage may be offered to the agent `asking`. A clock that was set back makes no wait longer: a stage that was offered in
 * the future, or waits longer than any attempt does, is due now.
 */
const dueAt = ({ agent, notBefore, offeredAt, offers }: StageRow, asking: string, at: number): number => {
  if (offeredAt !== null) {
    const since = Date.parse(offeredAt)
    return since > at ? at : since + (agent === asking ? sameAgentMillis(offers) : offerMillis)
  }
  const due = notBefore === null ? at : Date.parse(notBefore)
  return due > at + retryDelayMillis(mostRetries) ? at : due
}

const assignmentOf = (stage: StageRow, run: WholeRun, workingDirectory: string, taskToken: string): Assignment => ({
  id: stage.id,
  runId: run.id,
  workspace: run.workspace,
  stage: stage.stage,
  attempt: stage.attempt,
  ...(run.engine !== null && { engine: run.engine }),
  ...(workingDirectory !== "" && { workingDirectory }),
  options: run.options,
  archiveSha256: run.archiveSha256,
  ...(mutates(stage.stage) && run.planSha256 !== null && { planSha256: run.planSha256 }),
  taskToken
})

/**
 * Returns the stage if it belongs to the task; otherwise fails with 409 `taken`. A caller without a task may speak only for a stage that
 * belongs to none.
 */
const ownedBy = (stage: StageRow, taskUid: Option.Option<string>) =>
  stage.taskUid === null || Option.contains(taskUid, stage.taskUid)
    ? Effect.succeed(stage)
    : Effect.fail(conflict("taken", `Another agent has the stage ${stage.id}; what this one asks or says of it changes nothing.`))

/** How long an agent counts as connected after it last asked for work; a long poll takes up to 60 s. */
const connectedMillis = 90_000
/**
 * How far ahead of the clock an agent may have asked and still count as connected. One that asked later did so before the clock was put
 * back, and would count for as long as it was put back.
 */
const aheadMillis = 5_000
/** How long an agent without a stage is remembered after it last asked for work. */
const rememberedMillis = 30 * 24 * 3600 * 1000
/**
 * How long the feed of cancellations names a stage that ended without its agent's word, because the agent may have been away. This is
 * bounded: where no task is left that could have the last word, each agent hears of the stage at each start.
 */
const awayMillis = 30 * 24 * 3600 * 1000

/**
 * `taskUid` is the UID of the AgentTask that speaks. A call for a stage that belongs to another task fails with 409 `taken`, one for an
 * unknown stage with 404.
 */
export class Assignments extends Context.Service<Assignments, {
  /**
   * Returns at most `max` stages for `agent`, which are its own once it acknowledges them. Waits up to `waitSeconds` for the first, and
   * then returns none. Fails with 429 when too many requests wait.
   */
  readonly acquire: (agent: string, waitSeconds: number, max: number) => Effect.Effect<ReadonlyArray<Assignment>, StoreFailure>
  /**
   * Gives the stage to the task for good; the same task may repeat this. Also succeeds for a stage that is over, even if an agent without a
   * task ended it: the feed of cancellations tells the rest. Fails with 409 `rescue-pending` if the stage would change a state that is in
   * doubt.
   */
  readonly acknowledge: (id: string, taskUid: string) => Effect.Effect<void, StoreFailure>
  /**
   * Stores why the stage has not started, which is shown with its run. Of a stage that has started it stores that the node does not answer;
   * any other reason takes that back.
   */
  readonly wait: (id: string, taskUid: Option.Option<string>, reason: string, message: string) => Effect.Effect<void, StoreFailure>
  /**
   * Returns the cancelled stages after the cursor `after`, and in `next` the cursor to ask with again. Waits up to `waitSeconds` for the
   * first. Includes stages that are not over, and stages that ended without the word of their agent, which may have been away and still run
   * them. A cursor past the last number is from before a restore, and maybe from a clock that was ahead, so that new numbers would not
   * reach it: then all stages are returned.
   */
  readonly cancellations: (
    after: number,
    waitSeconds: number
  ) => Effect.Effect<{ readonly ids: ReadonlyArray<string>; readonly next: number }, StoreFailure>
  /** Ends the stage with its result, once. The same result again succeeds, another one fails with 409 `result-exists`. */
  readonly end: (id: string, taskUid: Option.Option<string>, result: ToldResult) => Effect.Effect<void, StoreFailure>
  /** Returns the stage of a token; undefined if the token is unknown. */
  readonly byToken: (token: string) => Effect.Effect<StageRow | undefined, SqlError.SqlError>
  /**
   * Lets a task in that has the token of the stage, and returns the stage, which starts with the first request. Fails with 422 if that
   * names no task, and with 409 `rescue-pending` as above.
   */
  readonly enter: (stage: StageRow, taskUid: Option.Option<string>) => Effect.Effect<StageRow, StoreFailure>
  /**
   * Returns since when the agent has not asked for work, for a sentence; undefined if it has asked within the last 90 s, or never.
   */
  readonly silentSince: (agent: string) => Effect.Effect<string | undefined, SqlError.SqlError>
  /** How many agents have asked for work within the last 90 s. */
  readonly connected: Effect.Effect<number, SqlError.SqlError>
  /** Removes the agents that have not asked for work for 30 days and have no stage: each new name of a controller adds one. */
  readonly forgetAgents: Effect.Effect<void, SqlError.SqlError>
}>()("agent-job/server/Assignments") {
  static readonly layer = Layer.effect(Assignments, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const commits = yield* Commits
  const ends = yield* StageEnds
  const runs = yield* Runs
  const stages = yield* Stages

  const take = Effect.fnUntraced(function*(id: string, taskUid: Option.Option<string>) {
    if (Option.isSome(taskUid)) yield* sql`UPDATE stages SET taskUid = ${taskUid.value} WHERE id = ${id} AND taskUid IS NULL`
    return yield* ownedBy(yield* stages.get(id), taskUid)
  })

  /**
   * Holds for a stage of an ordinary run while its workspace has a pending rescue, and for a stage of an import once its own rescue is
   * settled.
   */
  const inDoubt = sql`EXISTS (SELECT 1 FROM runs WHERE runs.id = stages.runId AND (runs.rescueId IS NULL) = EXISTS (
    SELECT 1 FROM rescues WHERE rescues.workspaceId = runs.workspaceId AND rescues.settledAt IS NULL AND (runs.rescueId IS NULL OR rescues.id = runs.rescueId)))`
  /** Holds for a stage that may be offered: not acknowledged, not ended and not in doubt. */
  const isOpen = sql`acknowledgedAt IS NULL AND endedAt IS NULL AND NOT ${inDoubt}`

  /**
   * Offers the stage to the agent; returns nothing if it is no longer open, because another request may have come since the stage was
   * looked up.
   */
  const offer = Effect.fnUntraced(function*(stage: StageRow, agent: string) {
    const offered = yield* sql`UPDATE stages SET ${
      sql.update({ agent, offeredAt: yield* now, waitReason: null, waitMessage: null })
    }, offers = offers + 1 WHERE id = ${stage.id} AND ${isOpen} RETURNING id`
    if (offered.length === 0) return []
    const taskToken = yield* newTaskToken
    yield* sql`INSERT INTO taskTokens ${sql.insert({ hash: tokenHash(taskToken), stageId: stage.id })}`
    const run = yield* runs.whole(stage.runId)
    return [assignmentOf(stage, run, yield* runs.workingDirectoryOf(run), taskToken)]
  })

  const look = (agent: string, max: number) =>
    Effect.gen(function*() {
      const at = yield* Clock.currentTimeMillis
      const open = yield* rows(Row)(sql`SELECT * FROM stages WHERE ${isOpen} ORDER BY seq`)
      const due = open.filter((stage) => dueAt(stage, agent, at) <= at).slice(0, max)
      if (due.length === 0) {
        return {
          found: Option.none<ReadonlyArray<Assignment>>(),
          ...(open.length > 0 && { againAt: Math.min(...open.map((stage) => dueAt(stage, agent, at))) })
        }
      }
      const assignments = (yield* sql.withTransaction(Effect.forEach(due, (stage) => offer(stage, agent)))).flat()
      return assignments.length === 0
        ? { found: Option.none<ReadonlyArray<Assignment>>(), againAt: at }
        : { found: Option.some<ReadonlyArray<Assignment>>(assignments) }
    })

  const acquire = Effect.fn("Assignments.acquire")(function*(agent: string, waitSeconds: number, max: number) {
    const seenAt = yield* now
    yield* sql`INSERT INTO agents ${
      sql.insert({ name: agent, firstSeenAt: seenAt, seenAt })
    } ON CONFLICT (name) DO UPDATE SET seenAt = excluded.seenAt`
    return Option.getOrElse(yield* commits.await("assignments", waitSeconds, look(agent, max)), () => [])
  })

  /**
   * Fails if the state is in doubt: the stage may have been offered, or taken and kept waiting, before the doubt came. A plan passes,
   * because it changes nothing.
   */
  const refuseInDoubt = Effect.fnUntraced(function*({ id, runId, stage }: StageRow) {
    if (stage === "plan" || (yield* sql`SELECT id FROM stages WHERE id = ${id} AND ${inDoubt}`).length === 0) return
    const { workspace } = yield* runs.get(runId)
    return yield* conflict(
      "rescue-pending",
      `An earlier stage left the state of ${workspace} in doubt, so nothing was applied; settle it with \`agent-job state rescue ${workspace}\`, then start the run again.`
    )
  })

  const acknowledge = Effect.fn("Assignments.acknowledge")((id: string, taskUid: string) =>
    sql.withTransaction(Effect.gen(function*() {
      const before = yield* stages.get(id)
      const stage = yield* take(id, Option.some(taskUid))
      if (before.taskUid === null && stage.endedAt !== null) yield* stages.cancelLate(id)
      if (stage.acknowledgedAt !== null || stage.endedAt !== null) return
      yield* refuseInDoubt(stage)
      yield* sql`UPDATE stages SET acknowledgedAt = ${yield* now} WHERE id = ${id}`
      yield* runs.step(stage.runId, RunEvent.Started({ step: stepOf(stage.stage) }))
    }))
  )

  const wait = Effect.fn("Assignments.wait")((id: string, taskUid: Option.Option<string>, reason: string, message: string) =>
    sql.withTransaction(Effect.gen(function*() {
      const { startedAt } = yield* ownedBy(yield* stages.get(id), taskUid)
      const waits = startedAt === null || reason === nodeSilent
      yield* sql`UPDATE stages SET ${
        sql.update({ waitReason: waits ? reason : null, waitMessage: waits ? message : null })
      } WHERE id = ${id} AND endedAt IS NULL`
    }))
  )

  const newestCancel = Effect.map(
    rows(Schema.Struct({ seq: Schema.Int }))(sql`SELECT COALESCE(MAX(cancelSeq), 0) AS seq FROM stages`),
    ([newest]) => newest?.seq ?? 0
  )

  /**
   * `next` passes all that was looked at, also what nobody has to be told: such a stage comes back on the feed only under a new number, and
   * no later look has to read it again.
   */
  const cancellations = Effect.fn("Assignments.cancellations")(function*(after: number, waitSeconds: number) {
    const Cancelled = Schema.Struct({ id: Schema.String, cancelSeq: Schema.Int })
    const old = yield* instantAfter(-awayMillis)
    let next = after > (yield* newestCancel) ? 0 : after
    const look = Effect.gen(function*() {
      const newest = yield* newestCancel // read first: what comes after it is looked at the next time
      const cancelled = yield* rows(Cancelled)(
        sql`SELECT id, cancelSeq FROM stages WHERE cancelSeq > ${next} AND cancelSeq <= ${newest} AND (endedAt IS NULL OR (endedAt > ${old} AND (result IS NULL OR forced = 1))) ORDER BY cancelSeq`
      )
      next = newest
      return { found: cancelled.length === 0 ? Option.none<ReadonlyArray<typeof Cancelled.Type>>() : Option.some(cancelled) }
    })
    const found = yield* commits.await("cancellations", waitSeconds, look)
    return { ids: Option.getOrElse(found, () => []).map(({ id }) => id), next }
  })

  const end = Effect.fn("Assignments.end")((id: string, taskUid: Option.Option<string>, result: ToldResult) =>
    sql.withTransaction(Effect.gen(function*() {
      const stage = yield* take(id, taskUid)
      if (stage.result !== null) {
        return yield* Equal.equals(plainly(stage.result), plainly(result)) // as an older controller tells what a newer worker said
          ? Effect.void
          : conflict(
            "result-exists",
            `The stage ${id} has another result already, which is kept; look at it with: agent-job get ${stage.runId}`
          )
      }
      yield* ends.conclude(stage, result)
    }))
  )

  /**
   * Starts the stage. The request of its worker shows that the assignment arrived, even if the acknowledgement got lost. From here on a
   * doubt does not stop the stage.
   */
  const begin = (id: string, taskUid: string) =>
    sql.withTransaction(Effect.gen(function*() {
      yield* acknowledge(id, taskUid)
      const stage = yield* stages.get(id)
      if (stage.endedAt !== null || stage.startedAt !== null) return stage // since its token was looked up
      yield* refuseInDoubt(stage)
      yield* sql`UPDATE stages SET startedAt = ${yield* now}, waitReason = NULL, waitMessage = NULL WHERE id = ${id}`
      return yield* stages.get(id)
    }))

  const byToken = Effect.fn("Assignments.byToken")((token: string) =>
    row(Row)(sql`SELECT stages.* FROM taskTokens JOIN stages ON stages.id = taskTokens.stageId WHERE taskTokens.hash = ${tokenHash(token)}`)
  )

  const enter = Effect.fn("Assignments.enter")(function*(stage: StageRow, taskUid: Option.Option<string>) {
    // A stage that started before tasks had to name themselves goes on without a UID.
    if (stage.endedAt !== null || stage.startedAt !== null) return yield* ownedBy(stage, taskUid)
    if (Option.isNone(taskUid)) return yield* invalid(`A request of a task names its AgentTask's UID in the header ${taskHeader.taskUid}.`)
    return yield* begin(stage.id, taskUid.value)
  })

  const seenLately = Effect.gen(function*() {
    return sql`(seenAt > ${yield* instantAfter(-connectedMillis)} AND seenAt <= ${yield* instantAfter(aheadMillis)})`
  })

  const silentSince = Effect.fn("Assignments.silentSince")(function*(agent: string) {
    const soon = yield* instantAfter(aheadMillis)
    const silent = yield* row(Schema.Struct({ seenAt: Schema.String }))(
      sql`SELECT seenAt FROM agents WHERE name = ${agent} AND NOT ${yield* seenLately}`
    )
    return silent !== undefined && silent.seenAt > soon ? "before the server's clock was put back" : silent?.seenAt
  })

  const connected = Effect.flatMap(seenLately, (isSeen) => counted(sql`SELECT count(*) AS n FROM agents WHERE ${isSeen}`))

  const forgetAgents = Effect.gen(function*() {
    const old = yield* instantAfter(-rememberedMillis)
    yield* sql`DELETE FROM agents WHERE seenAt < ${old} AND NOT EXISTS (SELECT 1 FROM stages WHERE agent = agents.name AND endedAt IS NULL)`
  })

  return Assignments.of({ acquire, acknowledge, wait, cancellations, end, byToken, enter, silentSince, connected, forgetAgents })
})
