// What agents take from the pool: stages, each offered to an agent with a token until it is acknowledged. Used by the pool and task routes.
// An offer without an acknowledgement is repeated after 30 s; to the same agent, which asks because the offer got lost, after 2 s at first.
// So two agents may have the same offer. The stage belongs to the AgentTask that takes it first, and all others are refused.
import { Clock, Context, Effect, Layer, Option, Schema, Struct } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { mostRetries, retryDelayMillis } from "../../core/run/retries.ts"
import { RunEvent } from "../../core/run/run-machine.ts"
import { Speaker, standing, withoutGuess } from "../../core/run/standing.ts"
import { isStoredOf, plainly } from "../../core/task/task-result.ts"
import type { Assignment } from "../../schema/api/pool-api.ts"
import { taskHeader } from "../../schema/api/task-api.ts"
import { mutates } from "../../schema/task/agent-task.ts"
import { doubts } from "../../schema/task/reason.ts"
import type { ToldResult } from "../../schema/task/stage-result.ts"
import { makeTaskTokens, tokenHash, Tokens } from "../access/tokens.ts"
import { conflict, invalid, type StoreFailure, unauthorized } from "../refused.ts"
import { endsAs, record } from "../store/act.ts"
import { Blobs } from "../store/blobs.ts"
import { Commits } from "../store/commits.ts"
import { counted, isAny, row, rows } from "../store/database.ts"
import { instantAfter, now } from "../store/instants.ts"
import { Agents } from "./agents.ts"
import { Pools } from "./pools.ts"
import { RunQueue } from "./run-queue.ts"
import { Runs, type WholeRun } from "./runs.ts"
import { StageEnds } from "./stage-ends.ts"
import { goneWait, type StageRow, StageRow as Row, Stages, stepOf } from "./stages.ts"

/** How large an answer gets before it ends: the targets of one stage may take 400 KiB. What is left out is due for the next request. */
const answerBytes = 4 * 1024 * 1024
/** How many cancelled stages one answer names; the cursor in it has the others come next. */
const cancelledAtOnce = 1000

/** What is read of a stage that waits. */
const Waiting = Row.mapFields(Struct.pick(["id", "seq", "runId", "stage", "attempt", "agent", "notBefore", "offeredAt", "offers"]))
type Waiting = typeof Waiting.Type

const offerMillis = 30_000
/** After how long a poll looks again whether there is room for what may begin: nothing wakes it then. */
const roomMillis = 5_000
/**
 * How long the same agent waits until it is offered a stage again that was offered `offers` times. The wait grows, because an agent that
 * cannot keep what it is offered would otherwise ask in a tight loop.
 */
const sameAgentMillis = (offers: number): number => Math.min(2_000 * 2 ** (offers - 1), offerMillis)

/**
 * Returns when the stage may be offered to the agent `asking`. A clock that was set back makes no wait longer: a stage that was offered in
 * the future, or waits longer than any attempt does, is due now.
 */
const dueAt = ({ agent, notBefore, offeredAt, offers }: Waiting, asking: string, at: number): number => {
  if (offeredAt !== null) {
    const since = Date.parse(offeredAt)
    return since > at ? at : since + (agent === asking ? sameAgentMillis(offers) : offerMillis)
  }
  const due = notBefore === null ? at : Date.parse(notBefore)
  return due > at + retryDelayMillis(mostRetries) ? at : due
}

const assignmentOf = (stage: Waiting, run: WholeRun, taskToken: string): Assignment => ({
  id: stage.id,
  runId: run.id,
  workspace: run.workspace,
  stage: stage.stage,
  attempt: stage.attempt,
  ...(run.engine !== null && { engine: run.engine }),
  ...(run.workingDirectory !== "" && { workingDirectory: run.workingDirectory }),
  options: run.options,
  archiveSha256: run.archiveSha256,
  ...(mutates(stage.stage) && run.planSha256 !== null && { planSha256: run.planSha256 }),
  taskToken
})

/** The agent that asks for stages, by the token with this hash of its pool. */
interface Asking {
  readonly name: string
  readonly pool: string
  readonly tokenHash: string
}

/** The agent that has the stage by what it says, if it says its name. */
const agentOf = (by: Speaker) => by._tag === "Agent" && by.name !== undefined ? { agent: by.name } : {}

const isPast = ({ endedAt, startedAt }: StageRow): boolean => endedAt !== null || startedAt !== null

/** A stage as the token of one of its offers shows it, with the pool to which that was made; null if it was before pools were noted. */
export interface Offered {
  readonly stage: StageRow
  readonly pool: string | null
}

/**
 * How long the feed of cancellations names a stage that ended without its task's word, because its agent may have been away. This is
 * bounded: where no task is left that could have the last word, each agent hears of the stage at each start.
 */
const awayMillis = 30 * 24 * 3600 * 1000

/** A call by who may not speak for the stage (core/run/standing) fails with 409 `taken`, and one for an unknown stage with 404. */
export class Assignments extends Context.Service<Assignments, {
  /**
   * Returns at most `max` stages that agents of the pool may take, fewer if they are large, which are the agent's own once it acknowledges
   * them. Waits up to `waitSeconds` for the first, and then returns none. Fails with 429 when too many requests wait. Once the token of the
   * pool is taken away, what was offered to it and belongs to no task is offered anew.
   */
  readonly acquire: (
    agent: Asking,
    waitSeconds: number,
    max: number
  ) => Effect.Effect<ReadonlyArray<Assignment>, StoreFailure>
  /**
   * Gives the stage to the task for good; the same task may repeat this. Also succeeds for a stage that is over, even if an agent without a
   * task ended it: the feed of cancellations tells the rest. Fails with 409 `rescue-pending` if the stage would change a state that is in
   * doubt.
   */
  readonly acknowledge: (id: string, by: Speaker) => Effect.Effect<void, StoreFailure>
  /**
   * Stores why the stage has not started, which is shown with its run. Of a stage that has started it stores why it is doubted that it
   * still runs; any other reason takes that back. An agent that speaks for the task of the stage has the stage from then on.
   */
  readonly wait: (id: string, by: Speaker, reason: string, message: string) => Effect.Effect<void, StoreFailure>
  /**
   * Returns the cancelled stages after the cursor `after`, 1,000 at most, and in `next` the cursor to ask with again. Waits up to
   * `waitSeconds` for the first. Includes stages that are not over, and stages that ended without the word of their task, whose agent may
   * have been away and still run them. A cursor past the last number is from before a restore, and maybe from a clock that was ahead, so
   * that new numbers would not reach it: then all stages are returned. It is the same for all pools: the task that has a stage may be in
   * the cluster of a pool that its workspace has left. An agent that has no such task can do nothing with an id, which says nothing else.
   */
  readonly cancellations: (
    after: number,
    waitSeconds: number
  ) => Effect.Effect<{ readonly ids: ReadonlyArray<string>; readonly next: number }, StoreFailure>
  /**
   * Ends the stage with its result, once. The same result again succeeds, another one fails with 409 `result-exists`; but where a stage
   * ended without the word of its task, and that tells of a doubt later, it takes the place of that end. The run stays as it is.
   */
  readonly end: (id: string, by: Speaker, result: ToldResult) => Effect.Effect<void, StoreFailure>
  /**
   * Returns the stage of a token; undefined if the token is unknown, or if the pool's token to which the stage was offered was taken away
   * before a task had the stage.
   */
  readonly byToken: (token: string) => Effect.Effect<Offered | undefined, SqlError.SqlError>
  /**
   * Lets a task in that has the token of the stage, and returns the stage, which starts with the first request. Fails with 422 if that
   * names no task, with 401 if another pool has taken it than that of the token, and with 409 `rescue-pending` as above.
   */
  readonly enter: (offered: Offered, taskUid: Option.Option<string>) => Effect.Effect<StageRow, StoreFailure>
}>()("agent-job/server/Assignments") {
  static readonly layer = Layer.effect(Assignments, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const agents = yield* Agents
  const { spareRoom } = yield* Blobs
  const commits = yield* Commits
  const ends = yield* StageEnds
  const pools = yield* Pools
  const queue = yield* RunQueue
  const runs = yield* Runs
  const stages = yield* Stages
  const { isOfPool } = yield* Tokens
  const taskTokenOf = yield* makeTaskTokens

  /** Reports whether the speaker's task takes the stage by this; fails if what is asked or said of it changes nothing. */
  const takes = Effect.fnUntraced(function*(stage: StageRow, by: Speaker) {
    const mayTake = stage.taskUid !== null || by._tag === "Worker"
      || (yield* isAny(sql`SELECT id FROM stages WHERE id = ${stage.id} AND ${pools.mayTake(by.pool)}`))
    const found = standing(stage, by, mayTake)
    if (found === "unauthorized") return yield* unauthorized()
    return typeof found === "string" ? found === "takes" : yield* conflict("taken", found.taken)
  })

  const take = Effect.fnUntraced(function*(stage: StageRow, by: Speaker) {
    const taken = {
      ...((yield* takes(stage, by)) && { taskUid: Option.getOrNull(by.taskUid), agentPool: by._tag === "Worker" ? null : by.pool }),
      ...(Option.isSome(by.taskUid) && agentOf(by)) // its worker may have come first
    }
    if (Object.keys(taken).length === 0) return stage
    yield* sql`UPDATE stages SET ${sql.update(taken)} WHERE id = ${stage.id}`
    return { ...stage, ...taken }
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
   * Offers the stage to the agent; returns nothing if it is no longer open, or was offered to another, because another request may have come
   * since the stage was looked up. Only the first offer to it leaves rows: a stage that no cluster can keep is offered for as long as it
   * waits, and the audit trail stays for good.
   */
  const offer = Effect.fnUntraced(function*(stage: Waiting, { name: agent, pool, tokenHash: offeredTo }: Asking) {
    const offered = yield* sql`UPDATE stages SET ${
      sql.update({ agent, agentPool: pool, offeredAt: yield* now, waitReason: null, waitMessage: null })
    }, offers = offers + 1 WHERE id = ${stage.id} AND offers = ${stage.offers} AND ${isOpen} AND ${pools.mayTake(pool)} RETURNING id`
    if (offered.length === 0) return []
    const taskToken = taskTokenOf([stage.id, agent, pool, offeredTo])
    const stored = { hash: tokenHash(taskToken), stageId: stage.id, pool, offeredTo }
    const isFirst = (yield* sql`INSERT INTO taskTokens ${sql.insert(stored)} ON CONFLICT DO NOTHING RETURNING hash`).length > 0
    if (isFirst) yield* record(sql, [stage.id, agent])
    return [assignmentOf(stage, yield* runs.whole(stage.runId), taskToken)]
  })

  /** Offers the stages in their order, until the answer is large enough. */
  const offerAll = Effect.fnUntraced(function*(due: ReadonlyArray<Waiting>, asking: Asking) {
    const assignments: Array<Assignment> = []
    let bytes = 0
    for (const stage of due) {
      if (bytes >= answerBytes) break
      const offered = yield* offer(stage, asking)
      assignments.push(...offered)
      bytes += Buffer.byteLength(JSON.stringify(offered))
    }
    return assignments
  })

  const columns = sql.literal(Object.keys(Waiting.fields).join(", "))
  /** Holds for a stage that is due as it is: no agent was offered it, and it waits for no time. */
  const isFresh = sql`(offeredAt IS NULL AND notBefore IS NULL)`

  /**
   * Returns the stages that agents of the pool may be offered, now or later, oldest first. Of the fresh ones, which may be thousands, it
   * returns no more than are asked for: all of them are due, so the first that are due are among those returned.
   */
  const openTo = (pool: string, max: number) => {
    const mayBeOffered = sql`${isOpen} AND ${pools.mayTake(pool)}`
    return rows(Waiting)(sql`SELECT ${columns} FROM stages WHERE NOT ${isFresh} AND ${mayBeOffered}
      UNION ALL SELECT * FROM (SELECT ${columns} FROM stages WHERE ${isFresh} AND ${mayBeOffered} ORDER BY seq LIMIT ${max}) ORDER BY seq`)
  }

  const changes = counted(sql`SELECT total_changes() AS n`)
  let lookedAt = { changes: -1, found: new Map<string, ReadonlyArray<Waiting>>() }
  /** What `openTo` returns. A commit wakes all agents; those of one pool who look until the next change share what the first has read. */
  const sharedOpenTo = Effect.fnUntraced(function*(pool: string, max: number) {
    const at = yield* changes // first: what is changed while the rows are read is read again
    if (lookedAt.changes !== at) lookedAt = { changes: at, found: new Map() }
    const { found } = lookedAt
    const key = `${max} ${pool}`
    const open = found.get(key) ?? (yield* openTo(pool, max))
    found.set(key, open)
    return open
  })

  const look = Effect.fnUntraced(function*(asking: Asking, max: number) {
    const at = yield* Clock.currentTimeMillis
    const open = yield* sharedOpenTo(asking.pool, max)
    const due = open.filter((stage) => dueAt(stage, asking.name, at) <= at).slice(0, max)
    if (open.length === 0) return {}
    if (due.length === 0) return { againAt: Math.min(...open.map((stage) => dueAt(stage, asking.name, at))) }
    if (yield* Effect.isFailure(spareRoom)) return { againAt: at + roomMillis } // the runs say so
    const found = yield* sql.withTransaction(offerAll(due, asking))
    return found.length === 0 ? { againAt: at } : { found }
  })

  const acquire: Assignments["Service"]["acquire"] = Effect.fn("Assignments.acquire")(function*(asking, waitSeconds, max) {
    yield* agents.heard(asking.name, asking.pool)
    return (yield* commits.await("assignments", waitSeconds, look(asking, max))) ?? []
  })

  /**
   * Fails if the state is in doubt: the stage may have been offered, or taken and kept waiting, before the doubt came. A plan passes,
   * because it changes nothing.
   */
  const refuseInDoubt = Effect.fnUntraced(function*({ id, runId, stage }: StageRow) {
    if (stage === "plan" || !(yield* isAny(sql`SELECT id FROM stages WHERE id = ${id} AND ${inDoubt}`))) return
    const { workspace } = yield* runs.get(runId)
    return yield* conflict(
      "rescue-pending",
      `An earlier stage left the state of ${workspace} in doubt, so nothing was applied; settle it with \`agent-job state rescue ${workspace}\`, then start the run again.`
    )
  })

  const acknowledge = Effect.fn("Assignments.acknowledge")(function*(id: string, by: Speaker) {
    const before = yield* stages.get(id)
    const stage = yield* take(before, by)
    if (before.taskUid === null && stage.endedAt !== null) yield* stages.cancelLate(id)
    if (stage.acknowledgedAt !== null || stage.endedAt !== null) return
    yield* refuseInDoubt(stage)
    yield* sql`UPDATE stages SET acknowledgedAt = ${yield* now} WHERE id = ${id}`
    yield* runs.step(stage.runId, RunEvent.Started({ step: stepOf(stage.stage) }))
  }, sql.withTransaction)

  /** Begins the runs whose turn it is, now that fewer of the workspace of this run are ahead of them. */
  const advance = (runId: string) => Effect.flatMap(runs.get(runId), ({ workspaceId }) => queue.advance(workspaceId))

  const wait = Effect.fn("Assignments.wait")(function*(id: string, by: Speaker, reason: string, message: string) {
    const { runId, startedAt, taskUid } = yield* Effect.tap(stages.get(id), (stage) => takes(stage, by))
    const waits = startedAt === null || doubts.includes(reason)
    const told = waits ? { waitReason: reason, waitMessage: message } : { waitReason: null, waitMessage: null }
    yield* sql`UPDATE stages SET ${sql.update({ ...told, ...(taskUid !== null && agentOf(by)) })} WHERE id = ${id} AND endedAt IS NULL`
    if (reason === "Draining") yield* advance(runId)
  }, sql.withTransaction)

  const newestCancel = counted(sql`SELECT COALESCE(MAX(cancelSeq), 0) AS n FROM stages`)

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
        sql`SELECT id, cancelSeq FROM stages WHERE cancelSeq > ${next} AND cancelSeq <= ${newest}
          AND (endedAt IS NULL OR result IS NULL OR forced = 1) AND (endedAt IS NULL OR endedAt > ${old}) ORDER BY cancelSeq
          LIMIT ${cancelledAtOnce}`
      )
      next = (cancelled.length < cancelledAtOnce ? undefined : cancelled.at(-1)?.cancelSeq) ?? newest
      return { found: cancelled.length === 0 ? undefined : cancelled }
    })
    const found = yield* commits.await("cancellations", waitSeconds, look)
    return { ids: (found ?? []).map(({ id }) => id), next }
  })

  /**
   * Notes that the agent that has a cancelled stage ends it without its task, as it does where it has none of it. Only a person may
   * conclude that nothing of the stage runs any more.
   */
  const noteGone = Effect.fnUntraced(function*(id: string, by: Speaker) {
    if (by._tag !== "Agent" || by.name === undefined || Option.isSome(by.taskUid)) return
    const gone = goneWait(by.name)
    const isNews = sql`id = ${id} AND taskUid IS NOT NULL AND agent = ${by.name} AND agentPool IS ${by.pool} AND cancelSeq IS NOT NULL
      AND endedAt IS NULL AND waitMessage IS NOT ${gone.waitMessage}`
    if ((yield* sql`SELECT id FROM stages WHERE ${isNews}`).length === 0) return // a commit would leave an entry of what is refused next
    yield* Effect.andThen(endsAs("has no task"), sql.withTransaction(sql`UPDATE stages SET ${sql.update(gone)} WHERE ${isNews}`))
  })

  const end = Effect.fn("Assignments.end")(function*(id: string, by: Speaker, told: ToldResult) {
    yield* noteGone(id, by)
    yield* sql.withTransaction(Effect.gen(function*() {
      const before = yield* stages.get(id)
      const stage = yield* take(before, by)
      const result = withoutGuess(before, by, told)
      if (stage.result !== null) {
        if (isStoredOf(plainly(stage.result), plainly(result))) return // as an older controller tells what a newer worker said
        if (Option.isNone(by.taskUid) || !(yield* ends.tellsOfDoubt(stage, result))) {
          return yield* conflict(
            "result-exists",
            `The stage ${id} has another result already, which is kept; look at it with: agent-job get ${stage.runId}`
          )
        }
      }
      yield* ends.conclude(stage, result)
    }))
  })

  /**
   * Starts the stage. The request of its worker shows that the assignment arrived, even if the acknowledgement got lost. From here on a
   * doubt does not stop the stage.
   */
  const begin = Effect.fnUntraced(function*(id: string, by: Speaker, taskUid: string) {
    const before = yield* stages.get(id)
    yield* acknowledge(id, by)
    const stage = yield* stages.get(id)
    const wasLate = isPast(stage) // since its token was looked up
    if (!wasLate || before.taskUid === null) yield* record(sql, [id, taskUid], wasLate ? "took the stage" : "began the stage")
    if (wasLate) return stage
    yield* refuseInDoubt(stage)
    yield* sql`UPDATE stages SET startedAt = ${yield* now}, waitReason = NULL, waitMessage = NULL WHERE id = ${id}`
    yield* advance(stage.runId)
    return yield* stages.get(id)
  }, sql.withTransaction)

  const OfferedRow = Schema.Struct({ ...Row.fields, pool: Schema.NullOr(Schema.String), offeredTo: Schema.NullOr(Schema.String) })
  const byToken = Effect.fn("Assignments.byToken")(function*(token: string) {
    const found = yield* row(OfferedRow)(
      sql`SELECT stages.*, taskTokens.pool, taskTokens.offeredTo FROM taskTokens
        JOIN stages ON stages.id = taskTokens.stageId WHERE taskTokens.hash = ${tokenHash(token)}`
    )
    if (found === undefined) return undefined
    const { offeredTo, pool, ...stage } = found
    return stage.taskUid !== null || offeredTo === null || isOfPool(offeredTo) ? { stage, pool } : undefined
  })

  const enter = Effect.fn("Assignments.enter")(function*({ pool, stage }: Offered, taskUid: Option.Option<string>) {
    const by = Speaker.Bearer({ pool, taskUid })
    // A stage that started before tasks had to name themselves goes on without a UID.
    if (isPast(stage)) return stage.taskUid === null ? stage : yield* Effect.as(takes(stage, by), stage)
    if (Option.isNone(taskUid)) return yield* invalid(`A request of a task names its AgentTask's UID in the header ${taskHeader.taskUid}.`)
    return yield* begin(stage.id, by, taskUid.value)
  })

  return Assignments.of({ acquire, acknowledge, wait, cancellations, end, byToken, enter })
})
