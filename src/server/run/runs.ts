// Runs: each step of core/run/run-machine, and all that follows from it, in one transaction.
// Invariant: one run that may apply holds a workspace, from its turn, or its approval if it was saved, to its end. An import holds none: its rescue keeps others from applying.
// Used by the TFE routes (a person's wishes) and by assignments and stage-ends (an agent's words).
import { Context, Effect, Layer, Option, Schema } from "effect"
import { SqlClient, type SqlError, type Statement } from "effect/sql"
import { isFinal, move, RunEvent } from "../../core/run/run-machine.ts"
import type { Reach } from "../../core/text/token-lines.ts"
import { Approval, RunStatus } from "../../schema/api/run.ts"
import { RunId, Sha256, Timestamp, WorkspaceName } from "../../schema/names.ts"
import { Engine, mutates, PlanOptions } from "../../schema/task/agent-task.ts"
import { Changes } from "../../schema/task/stage-result.ts"
import { conflict, invalid, orNotFound, type StoreFailure, unauthorized } from "../refused.ts"
import { actsOn, endsAs } from "../store/act.ts"
import { Blobs, type Received } from "../store/blobs.ts"
import { Commits } from "../store/commits.ts"
import { counted, row, rows } from "../store/database.ts"
import { newRunId } from "../store/ids.ts"
import { instantAfter, now } from "../store/instants.ts"
import { NamedBlobs } from "../store/named-blobs.ts"
import { RunVariable } from "../workspace/variables.ts"
import { within, Workspaces } from "../workspace/workspaces.ts"
import { Journals } from "./journals.ts"
import { RunQueue } from "./run-queue.ts"
import { type StageRow, Stages } from "./stages.ts"

/** A run without what may be large, which lists leave out. */
export const Run = Schema.Struct({
  id: RunId,
  seq: Schema.Int,
  workspaceId: Schema.String,
  workspace: WorkspaceName,
  configurationVersionId: Schema.String,
  archiveSha256: Sha256,
  workingDirectory: Schema.String,
  status: RunStatus,
  planOnly: Schema.BooleanFromBit,
  saved: Schema.BooleanFromBit,
  autoApply: Schema.BooleanFromBit,
  allowEmptyApply: Schema.BooleanFromBit,
  mayAsk: Schema.BooleanFromBit,
  cancelAsked: Schema.BooleanFromBit,
  destroy: Schema.BooleanFromBit,
  message: Schema.String,
  engine: Schema.NullOr(Schema.fromJsonString(Engine)),
  planSha256: Schema.NullOr(Sha256),
  approval: Schema.NullOr(Schema.fromJsonString(Approval)),
  startedBy: Schema.NullOr(Schema.String),
  stoppedBy: Schema.NullOr(Schema.String),
  hasChanges: Schema.NullOr(Schema.BooleanFromBit),
  changes: Schema.NullOr(Schema.fromJsonString(Changes)),
  failure: Schema.NullOr(Schema.String),
  rescueId: Schema.NullOr(Schema.String),
  removedAt: Schema.NullOr(Timestamp),
  createdAt: Timestamp,
  timestamps: Schema.fromJsonString(Schema.Record(Schema.String, Timestamp))
})
export type Run = typeof Run.Type

/** A run with all that it was started with: its variables alone may be a megabyte. */
const WholeRun = Schema.Struct({
  ...Run.fields,
  options: Schema.fromJsonString(PlanOptions),
  variables: Schema.fromJsonString(Schema.Array(RunVariable))
})
export type WholeRun = typeof WholeRun.Type

export interface NewRun {
  readonly workspaceId: string
  readonly configurationVersionId: string
  readonly archiveSha256: Sha256
  /** Absent: that of the workspace. */
  readonly workingDirectory?: string
  readonly planOnly: boolean
  /** The run plans without waiting for the workspace, and takes that when its plan is approved, which cannot be beforehand. */
  readonly saved?: boolean
  readonly autoApply: boolean
  readonly allowEmptyApply?: boolean
  /** A plan may wait for a person though the run applies by itself. A stock client would not know that it waits. */
  readonly mayAsk?: boolean
  readonly destroy: boolean
  readonly message: string
  /** The name of whoever may stop it with a token that only plans; absent for an import, which nobody may. */
  readonly startedBy?: string
  readonly engine: Engine | undefined
  readonly options: PlanOptions
  readonly variables: ReadonlyArray<RunVariable>
  /** Whether the request may be a repeated one, whose first answer was lost; its run is then the one that there is. */
  readonly once?: boolean
  /** The rescue that the run imports for; absent for other runs. An import does not wait for the workspace, which waits for it. */
  readonly rescueId?: string
}

/** What a stage found out, or who approved or stopped the run; it is written with the step that it leads to. */
export interface RunFacts {
  readonly hasChanges?: boolean
  readonly changes?: Changes
  readonly failure?: string
  readonly approvedBy?: string
  readonly stoppedBy?: string
}

/** Stock clients repeat a request for up to 7 minutes: 30 times, after up to 0.9 s, 1.8 s and so on. */
const repeatedForMillis = 600_000
/** Among how many runs of its configuration version the one is that a request repeats: whoever sends others may send thousands, all large. */
const repeatedAmong = 20

const openStatuses = RunStatus.literals.filter((status) => !isFinal(status))

/** Which runs a list is to have. */
export interface Chosen {
  readonly reach: Reach
  readonly workspaceId?: string
  /** The run that all in the list are older than. */
  readonly before?: Pick<Run, "seq">
  /** Only those that are not over, or that left a state in doubt. */
  readonly open?: true
}

/** How many saved plans of a workspace and a person wait for their approval: each keeps its file, and nobody may ever come for it. */
const mostSaved = 20

const approvalOf = ({ planSha256 }: Run, by: string, at: string) => ({
  approval: planSha256 === null ? null : JSON.stringify({ by, seal: planSha256, at } satisfies Approval)
})

/** Returns the columns of a run that a step changes. */
const changedBy = (run: Run, next: Pick<Run, "status" | "cancelAsked">, facts: RunFacts, at: string) => ({
  status: next.status,
  cancelAsked: next.cancelAsked,
  timestamps: JSON.stringify(next.status === run.status ? run.timestamps : { ...run.timestamps, [next.status]: at }),
  ...(facts.hasChanges !== undefined && { hasChanges: facts.hasChanges }),
  ...(facts.changes !== undefined && { changes: JSON.stringify(facts.changes) }),
  ...(facts.failure !== undefined && { failure: facts.failure }),
  ...(facts.stoppedBy !== undefined && { stoppedBy: facts.stoppedBy }),
  ...(next.status === "confirmed" && approvalOf(run, facts.approvedBy ?? "auto-apply", at))
})

export class Runs extends Context.Service<Runs, {
  readonly find: (id: string) => Effect.Effect<Run | undefined, SqlError.SqlError>
  /** Fails with 404 if there is no such run. */
  readonly get: (id: string) => Effect.Effect<Run, StoreFailure>
  /** Returns the same run with what it was started with. */
  readonly whole: (id: string) => Effect.Effect<WholeRun, StoreFailure>
  /** Returns runs of a workspace, newest first. */
  readonly list: (workspaceId: string, limit: number, offset: number) => Effect.Effect<ReadonlyArray<Run>, SqlError.SqlError>
  /** Returns the chosen runs, newest first. */
  readonly page: (chosen: Chosen, limit: number) => Effect.Effect<ReadonlyArray<Run>, SqlError.SqlError>
  /** Returns the runs that import for a rescue, oldest first. */
  readonly ofRescue: (rescueId: string) => Effect.Effect<ReadonlyArray<Run>, SqlError.SqlError>
  /** Returns the runs of these workspaces that have not begun, oldest first. */
  readonly pending: (reach: Reach, limit: number, offset: number) => Effect.Effect<ReadonlyArray<Run>, SqlError.SqlError>
  /** Returns how many runs of these workspaces have one of these statuses. */
  readonly count: (reach: Reach, statuses: ReadonlyArray<RunStatus>) => Effect.Effect<number, SqlError.SqlError>
  /**
   * Creates a run, with its first stage if its turn has come at once; or returns the one that the same request
   * started before. Fails with 422 if the archive is no longer stored.
   */
  readonly create: (run: NewRun) => Effect.Effect<WholeRun, StoreFailure>
  /**
   * Applies one event and what follows from it: the next stage, the word to the agent, the next run of the workspace. Returns the run as it
   * is then. A person's wish fails with 409 `wrong-moment` at the wrong moment, and with 409 `other-seal` if it is about another plan than
   * the run has; an agent's word never fails so.
   */
  readonly step: (id: string, event: RunEvent, facts?: RunFacts) => Effect.Effect<Run, StoreFailure>
  /**
   * Stores the saved plan of a stage, once. The same plan again succeeds, another one fails with 409 `plan-exists`. Fails with 401 if the
   * stage ended while its plan was on the way.
   */
  readonly savePlan: (id: RunId, stageId: string, received: Received) => Effect.Effect<void, StoreFailure>
  /** Forgets the plan that was stored by an attempt which came to no result. */
  readonly forgetPlan: (run: Run) => Effect.Effect<void, StoreFailure>
}>()("agent-job/server/Runs") {
  static readonly layer = Layer.effect(Runs, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const blobs = yield* Blobs
  const commits = yield* Commits
  const journals = yield* Journals
  const { removeUnnamed } = yield* NamedBlobs
  const queue = yield* RunQueue
  const stages = yield* Stages
  const workspaces = yield* Workspaces

  const columns = Object.keys(Run.fields).filter((field) => field !== "workspace").map((field) => `runs.${field}`)
  const from = sql`workspaces.name AS workspace FROM runs JOIN workspaces ON workspaces.id = runs.workspaceId`
  const all = sql`SELECT ${sql.literal(columns.join(", "))}, ${from}`
  const find = (id: string) => row(Run)(sql`${all} WHERE runs.id = ${id}`)
  const get = (id: string) => Effect.flatMap(find(id), orNotFound)
  const whole = (id: string) => Effect.flatMap(row(WholeRun)(sql`SELECT runs.*, ${from} WHERE runs.id = ${id}`), orNotFound)

  const isOpen = sql`(${sql.in("runs.status", openStatuses)}
    OR runs.id IN (SELECT stages.runId FROM rescues JOIN stages ON stages.id = rescues.stageId WHERE rescues.settledAt IS NULL))`

  /** The newest runs of some workspaces, read from an index of what these have: runs of all others may be far more. */
  const newestOf = (reach: Reach, before: Chosen["before"], limit: number) => {
    const where = sql.and([within(sql, reach), ...(before === undefined ? [] : [sql`theirs.seq < ${before.seq}`])])
    return sql`SELECT theirs.seq FROM workspaces CROSS JOIN runs AS theirs ON theirs.workspaceId = workspaces.id
      WHERE ${where} ORDER BY theirs.seq DESC LIMIT ${limit}`
  }

  const page = ({ before, open, reach, workspaceId }: Chosen, limit: number) => {
    // The "+" keeps the index of the workspace out, in which a few open runs stand among all that are over.
    const ofWorkspace = sql`${sql.literal(open === true ? "+" : "")}runs.workspaceId = ${workspaceId ?? null}`
    const isOfSome = reach !== "all" && workspaceId === undefined && open !== true
    const where = sql.and([
      isOfSome ? sql`runs.seq IN (${newestOf(reach, before, limit)})` : within(sql, reach),
      ...(workspaceId === undefined ? [] : [ofWorkspace]),
      ...(before === undefined ? [] : [sql`runs.seq < ${before.seq}`]),
      ...(open === true ? [isOpen] : [])
    ])
    return rows(Run)(sql`${all} WHERE ${where} ORDER BY runs.seq DESC LIMIT ${limit}`)
  }

  const count = (reach: Reach, statuses: ReadonlyArray<RunStatus>) =>
    counted(
      sql`SELECT count(*) AS n FROM runs JOIN workspaces ON workspaces.id = runs.workspaceId WHERE ${within(sql, reach)} AND ${
        sql.in("runs.status", statuses)
      }`
    )

  /**
   * Returns the run that the same request started, unless that ended without an apply, or is older than any repeated request, if only by the
   * clock before it was put back, or a later run of the version has begun to change something: a client that has its answer, and went on,
   * repeats nothing.
   */
  const startedBefore = Effect.fnUntraced(function*(versionId: string, wanted: Readonly<Record<string, unknown>>) {
    const isSame = Object.entries(wanted).map(([column, value]) => sql`${sql(column)} IS ${value}`)
    const [since, until] = [yield* instantAfter(-repeatedForMillis), yield* instantAfter(repeatedForMillis)]
    // Found by the version and not by its age, as thousands may be. Its index has them in the order in which they came. Nothing so young is removed.
    const newest = sql`SELECT id FROM runs WHERE configurationVersionId = ${versionId} ORDER BY rowid DESC LIMIT ${repeatedAmong}`
    const changedLater = sql`SELECT 1 FROM runs AS later JOIN stages ON stages.runId = later.id
      WHERE later.id IN (${newest}) AND later.seq > runs.seq AND stages.stage <> 'plan' AND stages.startedAt IS NOT NULL`
    const found = yield* row(Schema.Struct({ id: RunId }))(
      sql`SELECT id FROM runs WHERE id IN (${newest}) AND ${
        sql.and(isSame)
      } AND removedAt IS NULL AND createdAt BETWEEN ${since} AND ${until} AND ${
        sql.in("status", [...openStatuses, "applied"])
      } AND NOT EXISTS (${changedLater}) ORDER BY seq LIMIT 1`
    )
    return found?.id
  })

  const create = Effect.fn("Runs.create")(function*({ engine, once = false, options, variables, ...asked }: NewRun) {
    const newId = yield* newRunId
    const createdAt = yield* now
    const wanted = {
      ...asked,
      engine: engine === undefined ? null : JSON.stringify(engine),
      options: JSON.stringify(options),
      variables: JSON.stringify(variables)
    }
    const made = {
      ...wanted,
      id: newId,
      createdAt,
      status: "pending",
      cancelAsked: false,
      timestamps: JSON.stringify({ pending: createdAt })
    }
    const noArchive = invalid("The archive of the run's configuration version is not stored any more; upload it again, or a new version.")
    const id = yield* sql.withTransaction(Effect.gen(function*() {
      const before = once ? yield* startedBefore(asked.configurationVersionId, wanted) : undefined
      if (Option.isNone(yield* blobs.about(asked.archiveSha256))) return yield* noArchive
      yield* actsOn(before ?? newId)
      if (before !== undefined) return yield* Effect.as(endsAs("repeated"), before)
      const seq = yield* counted(sql`SELECT COALESCE(MAX(seq), 0) + 1 AS n FROM runs`)
      const workingDirectory = asked.workingDirectory ?? (yield* workspaces.get(asked.workspaceId)).workingDirectory
      yield* sql`INSERT INTO runs ${sql.insert({ ...made, workingDirectory, seq })}`
      yield* queue.join({ rescueId: null, ...asked, id: newId })
      return newId
    }))
    return yield* whole(id)
  })

  /**
   * Removes the file of the saved plan after the commit, because nothing but the run's apply reads it. At the end of a run its digest
   * stays, as the seal.
   */
  const removePlanFile = ({ planSha256 }: Run) =>
    planSha256 === null ? Effect.void : sql.afterCommit(removeUnnamed([{ sha256: planSha256 }]))

  /** Discards the saved plans of a workspace that wait for their approval, and that are `which`. */
  const discardSaved = Effect.fnUntraced(
    function*({ workspaceId }: Run, which: Statement.Fragment, stoppedBy: string): Effect.fn.Return<void, StoreFailure> {
      const waiting = yield* rows(Schema.Struct({ id: RunId }))(
        sql`SELECT id FROM runs WHERE workspaceId = ${workspaceId} AND saved = 1 AND status = 'planned' ${which}`
      )
      for (const { id } of waiting) yield* step(id, RunEvent.Discard(), { stoppedBy })
    }
  )

  /** Gives the workspace to a run whose saved plan is approved; fails with 409 `wrong-moment` if another run holds it. */
  const takeWorkspace = Effect.fnUntraced(function*({ id, workspaceId }: Run) {
    yield* sql`UPDATE workspaces SET currentRunId = ${id} WHERE id = ${workspaceId} AND currentRunId IS NULL`
    const { currentRunId } = yield* workspaces.get(workspaceId)
    if (currentRunId === id) return
    return yield* conflict(
      "wrong-moment",
      `The run ${id} has a saved plan, and the run ${currentRunId} holds the workspace; apply it once that is over, or plan again if that changes the state.`
    )
  })

  const end = Effect.fn("Runs.end")(function*(run: Run) {
    yield* stages.withdraw(run.id)
    /** A restored database may not have the start of a stage whose result speaks of its state. */
    const hasBegun = ({ result, startedAt }: StageRow) => startedAt !== null || result?.statePushed !== undefined
    const applies = (yield* stages.ofRun(run.id)).filter(({ stage }) => mutates(stage))
    if (applies.some(hasBegun)) yield* discardSaved(run, sql``, `the run ${run.id}, which began to apply its own plan`)
    else if (applies.every(({ taskUid }) => taskUid !== null)) yield* journals.forgetPlanned(run.id) // no task may yet say that it ran
    yield* sql`UPDATE workspaces SET currentRunId = NULL WHERE id = ${run.workspaceId} AND currentRunId = ${run.id}`
    yield* queue.advance(run.workspaceId)
    yield* removePlanFile(run)
  })

  const step: Runs["Service"]["step"] = Effect.fn("Runs.step")(function*(id: string, event: RunEvent, facts: RunFacts = {}) {
    const run = yield* get(id)
    const next = move(run, event)
    if (next._tag === "Refused") return yield* conflict(next.error, `The run ${run.id} ${next.message}`)
    if (next._tag === "Unchanged") return run
    if (run.saved && next.status === "confirmed") yield* takeWorkspace(run)
    yield* sql`UPDATE runs SET ${sql.update(changedBy(run, next, facts, yield* now))} WHERE id = ${run.id}`
    if (facts.approvedBy !== undefined && run.planSha256 !== null) yield* actsOn(run.planSha256)
    yield* commits.news(`logs ${run.id}`)
    if (next.status === "confirmed") yield* stages.create(run.id, run.destroy ? "destroy" : "apply")
    if (run.saved && next.status === "planned") {
      const tooMany = sql`AND startedBy IS ${run.startedBy} ORDER BY seq DESC LIMIT -1 OFFSET ${mostSaved}`
      yield* discardSaved(run, tooMany, `the run ${run.id}, since ${mostSaved} newer plans are saved`)
    }
    if (isFinal(next.status)) yield* end(run)
    else if (next.cancelAsked) yield* stages.cancel(run.id)
    return yield* get(id)
  }, sql.withTransaction)

  const savePlan = Effect.fn("Runs.savePlan")(function*(id: RunId, stageId: string, received: Received) {
    const { endedAt } = yield* stages.get(stageId)
    if (endedAt !== null) return yield* unauthorized()
    const { planSha256 } = yield* get(id)
    if (planSha256 !== null && planSha256 !== received.sha256) {
      return yield* conflict("plan-exists", `The run ${id} has another saved plan already, which is kept; start a new run for this one.`)
    }
    yield* sql`UPDATE runs SET planSha256 = ${received.sha256} WHERE id = ${id}`
    yield* sql`UPDATE stages SET planBytes = ${received.sizeBytes} WHERE id = ${stageId}`
    yield* blobs.store(received)
  }, sql.withTransaction)

  const forgetPlan = (run: Run) => Effect.andThen(sql`UPDATE runs SET planSha256 = NULL WHERE id = ${run.id}`, removePlanFile(run))

  return Runs.of({
    find,
    get,
    whole,
    list: (workspaceId, limit, offset) =>
      rows(Run)(sql`${all} WHERE runs.workspaceId = ${workspaceId} ORDER BY runs.seq DESC LIMIT ${limit} OFFSET ${offset}`),
    page,
    ofRescue: (rescueId) => rows(Run)(sql`${all} WHERE runs.rescueId = ${rescueId} ORDER BY runs.seq`),
    pending: (reach, limit, offset) =>
      rows(Run)(sql`${all} WHERE ${within(sql, reach)} AND runs.status = 'pending' ORDER BY runs.seq LIMIT ${limit} OFFSET ${offset}`),
    count,
    create,
    step,
    savePlan,
    forgetPlan
  })
})
