// What agents take from the pool: stages, offered until acknowledged, each with a token of its own, ended by one result. Used by the pool and task routes.
// An offer that was not acknowledged is made again after 30 s, and to the same agent, which asks because it has not got it, after 2 s at first.
// So two agents may have one offer; the stage belongs to the AgentTask that takes it first, and no other is heard.
import { Clock, Context, Effect, Equal, Layer, Option, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { delayMillis, mostAgain } from "../core/plan-again.ts"
import { RunEvent } from "../core/run-machine.ts"
import { mutates } from "../schema/agent-task.ts"
import type { Assignment } from "../schema/pool-api.ts"
import type { StageResult } from "../schema/stage-result.ts"
import { taskHeader } from "../schema/task-api.ts"
import { Commits } from "./commits.ts"
import { row, rows } from "./database.ts"
import { instantAfter, now } from "./instants.ts"
import { conflict, invalid, type StoreFailure } from "./refused.ts"
import { Runs } from "./runs.ts"
import { StageEnds } from "./stage-ends.ts"
import { type StageRow, StageRow as Row, Stages, stepOf } from "./stages.ts"
import { newTaskToken, tokenHash } from "./tokens.ts"
import { Workspaces } from "./workspaces.ts"

const offerMillis = 30_000
/** Not at once, or an agent that cannot keep what it is offered would be asked in a tight loop; and later each time. */
const sameAgentMillis = (offers: number): number => Math.min(2_000 * 2 ** (offers - 1), offerMillis)

/** A clock that was set back makes no wait longer: what was offered after now, or waits longer than any attempt does, is due. */
const dueAt = ({ agent, notBefore, offeredAt, offers }: StageRow, asking: string, at: number): number => {
  if (offeredAt !== null) {
    const since = Date.parse(offeredAt)
    return since > at ? at : since + (agent === asking ? sameAgentMillis(offers) : offerMillis)
  }
  const due = notBefore === null ? at : Date.parse(notBefore)
  return due > at + delayMillis(mostAgain) ? at : due
}

/** The stage, for the task it belongs to. Whoever has no task speaks for a stage only while it belongs to none. */
const ofTask = (stage: StageRow, taskUid: Option.Option<string>) =>
  stage.taskUid === null || Option.contains(taskUid, stage.taskUid)
    ? Effect.succeed(stage)
    : Effect.fail(conflict("taken", `Another agent has the stage ${stage.id}; what this one asks or says of it changes nothing.`))

/** An agent counts as connected for this long after it last asked; a long poll takes up to 60 s. */
const connectedMillis = 90_000
/**
 * For so long an agent that was away hears of what ended without its word. Not for ever: where no task is left that could have the last
 * word, each agent hears of it at each start.
 */
const awayMillis = 30 * 24 * 3600 * 1000

/**
 * `taskUid`: of the AgentTask that speaks. Whoever else speaks for a stage that belongs to another is refused with 409 `taken`, a stage
 * that is not there with 404.
 */
export class Assignments extends Context.Service<Assignments, {
  /**
   * Stages for `agent`, `max` at most, which are its own once it acknowledges them; waits so long for the first, and gives none then. 429
   * when too many wait.
   */
  readonly acquire: (agent: string, waitSeconds: number, max: number) => Effect.Effect<ReadonlyArray<Assignment>, StoreFailure>
  /**
   * Final, and may be repeated by the same task; for a stage that is over it is success too, the feed of cancellations says the rest, also
   * where another agent, which made no task, has had the last word. 409 `rescue-pending` where it would change a state that is in doubt.
   */
  readonly acknowledge: (id: string, taskUid: string) => Effect.Effect<void, StoreFailure>
  /** Why the stage has not started, as it is shown with its run; without effect once it has. */
  readonly wait: (id: string, taskUid: Option.Option<string>, reason: string, message: string) => Effect.Effect<void, StoreFailure>
  /**
   * Those after the cursor that are not over, or not by their agent's word, which may have been away: of these what runs all the same is to
   * be stopped. A cursor past the last number is of the time before a restore, and maybe of a clock that was ahead, so that the next number
   * would not come up to it: then it is all of them. Waits so long for the first. `next`: the cursor to ask with again.
   */
  readonly cancellations: (
    after: number,
    waitSeconds: number
  ) => Effect.Effect<{ readonly ids: ReadonlyArray<string>; readonly next: number }, StoreFailure>
  /** With its result, once: the same again is success, another is refused with 409 `result-exists`. */
  readonly end: (id: string, taskUid: Option.Option<string>, result: StageResult) => Effect.Effect<void, StoreFailure>
  /**
   * The stage of a token, which begins with the first use of it; nothing of one that is no token. 422 without a task, 409 `rescue-pending`
   * as above.
   */
  readonly byToken: (token: string, taskUid: Option.Option<string>) => Effect.Effect<StageRow | undefined, StoreFailure>
  /** Since when an agent asks no more; nothing of one that has asked within the last 90 s. */
  readonly silentSince: (agent: string) => Effect.Effect<string | undefined, SqlError.SqlError>
  /** How many agents have asked for work within the last 90 s. */
  readonly connected: Effect.Effect<number, SqlError.SqlError>
}>()("agent-job/server/Assignments") {
  static readonly layer = Layer.effect(Assignments, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const commits = yield* Commits
  const ends = yield* StageEnds
  const runs = yield* Runs
  const stages = yield* Stages
  const workspaces = yield* Workspaces

  const take = Effect.fnUntraced(function*(id: string, taskUid: Option.Option<string>) {
    if (Option.isSome(taskUid)) yield* sql`UPDATE stages SET taskUid = ${taskUid.value} WHERE id = ${id} AND taskUid IS NULL`
    return yield* ofTask(yield* stages.get(id), taskUid)
  })

  /** Its workspace waits for a person; or it is an import, which the person waits for, and nobody waits any more. */
  const inDoubt = sql`EXISTS (SELECT 1 FROM runs WHERE runs.id = stages.runId AND (runs.rescueId IS NULL) = EXISTS (
    SELECT 1 FROM rescues WHERE rescues.workspaceId = runs.workspaceId AND rescues.settledAt IS NULL AND (runs.rescueId IS NULL OR rescues.id = runs.rescueId)))`
  /** Neither taken nor withdrawn. */
  const isOpen = sql`acknowledgedAt IS NULL AND endedAt IS NULL AND NOT ${inDoubt}`

  /** Nothing of one that is open no more: others may have come since it was looked up. */
  const offer = Effect.fnUntraced(function*(stage: StageRow, agent: string) {
    const offered = yield* sql`UPDATE stages SET ${
      sql.update({ agent, offeredAt: yield* now, waitReason: null, waitMessage: null })
    }, offers = offers + 1 WHERE id = ${stage.id} AND ${isOpen} RETURNING id`
    if (offered.length === 0) return []
    const taskToken = yield* newTaskToken
    yield* sql`INSERT INTO taskTokens ${sql.insert({ hash: tokenHash(taskToken), stageId: stage.id })}`
    const run = yield* runs.get(stage.runId)
    const { workingDirectory } = yield* workspaces.get(run.workspaceId)
    const assignment: Assignment = {
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
    }
    return [assignment]
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

  /** It may have been offered, or taken and kept waiting, before the doubt came. A plan changes nothing. */
  const withoutDoubt = Effect.fnUntraced(function*({ id, runId, stage }: StageRow) {
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
      if (before.taskUid === null && stage.result !== null) yield* stages.cancelLate(id)
      if (stage.acknowledgedAt !== null || stage.endedAt !== null) return
      yield* withoutDoubt(stage)
      yield* sql`UPDATE stages SET acknowledgedAt = ${yield* now} WHERE id = ${id}`
      yield* runs.step(stage.runId, RunEvent.Started({ step: stepOf(stage.stage) }))
    }))
  )

  const wait = Effect.fn("Assignments.wait")(function*(id: string, taskUid: Option.Option<string>, reason: string, message: string) {
    yield* ofTask(yield* stages.get(id), taskUid)
    yield* sql`UPDATE stages SET ${
      sql.update({ waitReason: reason, waitMessage: message })
    } WHERE id = ${id} AND startedAt IS NULL AND endedAt IS NULL`
  })

  const cancellations = Effect.fn("Assignments.cancellations")(function*(after: number, waitSeconds: number) {
    const Cancelled = Schema.Struct({ id: Schema.String, cancelSeq: Schema.Int })
    const [last] = yield* rows(Schema.Struct({ seq: Schema.Int }))(sql`SELECT COALESCE(MAX(cancelSeq), 0) AS seq FROM stages`)
    const from = after > (last?.seq ?? 0) ? 0 : after
    const old = yield* instantAfter(-awayMillis)
    const found = yield* commits.await(
      "cancellations",
      waitSeconds,
      Effect.map(
        rows(Cancelled)(
          sql`SELECT id, cancelSeq FROM stages WHERE cancelSeq > ${from} AND (endedAt IS NULL OR (endedAt > ${old} AND (result IS NULL OR forced = 1))) ORDER BY cancelSeq`
        ),
        (cancelled) => ({ found: cancelled.length === 0 ? Option.none<ReadonlyArray<typeof Cancelled.Type>>() : Option.some(cancelled) })
      )
    )
    const cancelled = Option.getOrElse(found, () => [])
    return { ids: cancelled.map(({ id }) => id), next: cancelled.at(-1)?.cancelSeq ?? from }
  })

  const end = Effect.fn("Assignments.end")((id: string, taskUid: Option.Option<string>, result: StageResult) =>
    sql.withTransaction(Effect.gen(function*() {
      const stage = yield* take(id, taskUid)
      if (stage.result !== null) {
        return yield* Equal.equals(stage.result, result)
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
   * Its worker has come, which says that the assignment arrived, whatever became of the acknowledgement. From here on a doubt does not stop
   * it.
   */
  const begin = (id: string, taskUid: string) =>
    sql.withTransaction(Effect.gen(function*() {
      yield* acknowledge(id, taskUid)
      const stage = yield* stages.get(id)
      if (stage.endedAt !== null || stage.startedAt !== null) return stage // since its token was looked up
      yield* withoutDoubt(stage)
      yield* sql`UPDATE stages SET startedAt = ${yield* now}, waitReason = NULL, waitMessage = NULL WHERE id = ${id}`
      return yield* stages.get(id)
    }))

  const byToken = Effect.fn("Assignments.byToken")(function*(token: string, taskUid: Option.Option<string>) {
    const stage = yield* row(Row)(
      sql`SELECT stages.* FROM taskTokens JOIN stages ON stages.id = taskTokens.stageId WHERE taskTokens.hash = ${tokenHash(token)}`
    )
    if (stage === undefined) return
    if (stage.endedAt !== null || stage.startedAt !== null) return yield* ofTask(stage, taskUid) // begun before tasks had to name themselves: goes on
    if (Option.isNone(taskUid)) return yield* invalid(`A request of a task names its AgentTask's UID in the header ${taskHeader.taskUid}.`)
    return yield* begin(stage.id, taskUid.value)
  })

  const silentSince = Effect.fn("Assignments.silentSince")(function*(agent: string) {
    const lately = yield* instantAfter(-connectedMillis)
    const silent = yield* row(Schema.Struct({ seenAt: Schema.String }))(
      sql`SELECT seenAt FROM agents WHERE name = ${agent} AND seenAt <= ${lately}`
    )
    return silent?.seenAt
  })

  const connected = Effect.gen(function*() {
    const since = yield* instantAfter(-connectedMillis)
    const [count] = yield* rows(Schema.Struct({ n: Schema.Int }))(sql`SELECT count(*) AS n FROM agents WHERE seenAt > ${since}`)
    return count?.n ?? 0
  })

  return Assignments.of({ acquire, acknowledge, wait, cancellations, end, byToken, silentSince, connected })
})
