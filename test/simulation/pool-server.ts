// The pool's server as a part of the simulation: the product's own runs, stages, assignments and states, on SQLite and files in memory.
// Invariant: a crash ends all requests that wait for an answer, and keeps what is stored.
// Used by test/simulation/simulation and by the processes in it, through `forAgent` and `forWorker`.
import { Cause, Context, Effect, Exit, Layer, Option, Schema, Scope, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { createHash } from "node:crypto"
import { isSettled, Pool, type PoolError, PoolRefused, PoolUnreachable } from "../../src/controller/pool/pool.ts"
import { isFinal, RunEvent } from "../../src/core/run/run-machine.ts"
import { Speaker } from "../../src/core/run/standing.ts"
import { type JournalEntry, JournalPosition, LeftOver } from "../../src/schema/api/effects.ts"
import { keptByDefault } from "../../src/schema/api/keep.ts"
import { RunStatus } from "../../src/schema/api/run.ts"
import { RunId, Sha256, WorkspaceName } from "../../src/schema/names.ts"
import { Stage } from "../../src/schema/task/agent-task.ts"
import { StageResult } from "../../src/schema/task/stage-result.ts"
import { Bodies } from "../../src/server/access/bodies.ts"
import { Tokens, type User } from "../../src/server/access/tokens.ts"
import { conflict, Refused, unauthorized } from "../../src/server/refused.ts"
import { ImportRuns } from "../../src/server/rescue/import-runs.ts"
import { Settlements } from "../../src/server/rescue/settlements.ts"
import { Agents } from "../../src/server/run/agents.ts"
import { Assignments } from "../../src/server/run/assignments.ts"
import { Configurations } from "../../src/server/run/configurations.ts"
import { Journals } from "../../src/server/run/journals.ts"
import { LeftOvers } from "../../src/server/run/left-overs.ts"
import { Pools } from "../../src/server/run/pools.ts"
import { RunQueue } from "../../src/server/run/run-queue.ts"
import { type NewRun, Runs } from "../../src/server/run/runs.ts"
import { StageEnds } from "../../src/server/run/stage-ends.ts"
import { StageStates } from "../../src/server/run/stage-states.ts"
import { type StageRow, Stages } from "../../src/server/run/stages.ts"
import { Settings } from "../../src/server/settings.ts"
import { Blobs } from "../../src/server/store/blobs.ts"
import { Commits } from "../../src/server/store/commits.ts"
import { layerDatabase, rows } from "../../src/server/store/database.ts"
import { RandomBytes } from "../../src/server/store/ids.ts"
import { NamedBlobs } from "../../src/server/store/named-blobs.ts"
import { Evidence } from "../../src/server/workspace/evidence.ts"
import { Rescues } from "../../src/server/workspace/rescues.ts"
import { StateLocks } from "../../src/server/workspace/state-locks.ts"
import { StateVersions } from "../../src/server/workspace/state-versions.ts"
import { Workspaces } from "../../src/server/workspace/workspaces.ts"
import { NoAnswer, refusalOf, type TaskApiError } from "../../src/worker/network/task-api-error.ts"
import { storedUpTo, type TaskApi } from "../../src/worker/network/task-api.ts"
import { type Approved, archiveOf, planOf } from "./approvals.ts"
import { addressesIn, written } from "./engine-state.ts"
import type { Engine } from "./engine.ts"
import { AtCommit, commitOf, mortal, writes } from "./mortal.ts"
import { type Fault, isRefused, isUnheard, OneThread, Process, randomOf } from "./one-thread.ts"

type Stores =
  | Assignments
  | Evidence
  | ImportRuns
  | Settlements
  | Rescues
  | Runs
  | StageEnds
  | StageStates
  | Stages
  | StateLocks
  | StateVersions
  | Workspaces
type Storing<A, E = unknown> = Effect.Effect<A, E, Stores | SqlClient.SqlClient>

const url = "http://pool"
/** The name of the only token of agents. */
const pool = "simulated"

const person: User = { kind: "user", name: "a person", role: "everything", workspaces: "all" }

const unused = () => Effect.die(new Error("the simulation has no such file"))
/** The directory of files, which survives a crash. `aside`, elsewhere the place of a received file, is its content here. */
const blobsIn = (files: Map<string, Uint8Array>) =>
  Layer.succeed(Blobs, {
    receive: (stream, { expected }) =>
      Effect.flatMap(Stream.runCollect(stream), (chunks) => {
        const bytes = Buffer.concat(chunks)
        const sha256 = Sha256.make(createHash("sha256").update(bytes).digest("hex"))
        if (expected !== undefined && expected !== sha256) return Effect.fail(conflict("digest-mismatch", "another digest"))
        return Effect.succeed({ sha256, sizeBytes: bytes.length, aside: bytes.toString("latin1") })
      }),
    store: ({ aside, sha256 }) => Effect.sync(() => void files.set(sha256, Buffer.from(aside, "latin1"))),
    read: (sha256) => Effect.suspend(() => Effect.succeed(files.get(sha256) ?? new Uint8Array())),
    remove: (sha256) => Effect.sync(() => void files.delete(sha256)),
    stream: (sha256) => Stream.make(files.get(sha256) ?? new Uint8Array()),
    about: () => Effect.succeed(Option.some({ storedAt: 0, sizeBytes: 0 })),
    head: unused,
    check: () => Effect.void,
    sizeOfWhole: unused,
    all: Stream.empty,
    probe: Effect.void,
    spareRoom: Effect.void
  })

const stores = Layer.mergeAll(Assignments.layer, ImportRuns.layer, Settlements.layer, StageStates.layer).pipe(
  Layer.provideMerge(StageEnds.layer),
  Layer.provideMerge(Layer.mergeAll(LeftOvers.layer, Runs.layer)),
  Layer.provideMerge(Layer.mergeAll(Configurations.layer, Journals.layer, RunQueue.layer)),
  Layer.provideMerge(Stages.layer),
  Layer.provideMerge(StateVersions.layer),
  Layer.provideMerge(Layer.mergeAll(Bodies.layer, Evidence.layer, Rescues.layer, StateLocks.layer)),
  Layer.provideMerge(NamedBlobs.layer),
  Layer.provideMerge(Layer.mergeAll(Pools.layer, Workspaces.layer)),
  Layer.provideMerge(Layer.mergeAll(Agents.layer, Commits.layer)),
  Layer.provide(Layer.succeed(Settings, { dataDir: "", keep: keptByDefault })),
  Layer.provide(
    Layer.succeed(Tokens, {
      user: () => Option.none(),
      pool: () => Option.none(),
      isOfPool: () => true,
      pools: () => [pool],
      secretOf: () => "",
      isSecretOf: () => false
    })
  )
)

const StoredStage = Schema.Struct({
  id: Schema.String,
  runId: Schema.String,
  stage: Stage,
  taskUid: Schema.NullOr(Schema.String),
  acknowledgedAt: Schema.NullOr(Schema.String),
  result: Schema.NullOr(Schema.fromJsonString(StageResult)),
  effects: Schema.NullOr(Schema.fromJsonString(LeftOver))
})
const StoredRun = Schema.Struct({
  id: RunId,
  status: RunStatus,
  autoApply: Schema.BooleanFromBit,
  workspaceId: Schema.String,
  archiveSha256: Sha256,
  planSha256: Schema.NullOr(Sha256)
})
const StoredState = Schema.Struct({
  workspaceId: Schema.String,
  runId: Schema.NullOr(Schema.String),
  serial: Schema.Int,
  lineage: Schema.String,
  sha256: Sha256,
  epoch: Schema.Int
})
const Doubt = Schema.Struct({ stageId: Schema.String, settledBy: Schema.NullOr(Schema.String) })

/** Returns whether a rescue is open, or was settled by a person who had looked, or by the run that imported what was missing. */
const fateOf = (settledBy: string | null) => settledBy === null ? "open" : settledBy === person.name ? "settled" : "imported"

const [stagesOf, runsOf, statesOf, doubtsOf] = [rows(StoredStage), rows(StoredRun), rows(StoredState), rows(Doubt)]
const stored = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const doubts = yield* doubtsOf(sql`SELECT stageId, settledBy FROM rescues ORDER BY seq`)
  const states = yield* statesOf(sql`SELECT workspaceId, runId, serial, lineage, sha256, epoch FROM stateVersions ORDER BY seq`)
  return {
    stages: yield* stagesOf(sql`SELECT id, runId, stage, taskUid, acknowledgedAt, result, effects FROM stages ORDER BY seq`),
    runs: yield* runsOf(sql`SELECT id, status, autoApply, workspaceId, archiveSha256, planSha256 FROM runs ORDER BY seq`),
    /** All states, oldest first. */
    states,
    digests: new Set<string>(states.map(({ sha256 }) => sha256)),
    /** The stages that a rescue was opened for, and what became of the last one. */
    doubts: new Map(doubts.map(({ settledBy, stageId }) => [stageId, fateOf(settledBy)]))
  }
})
export type Stored = Effect.Success<typeof stored>

/** The requests of a worker about its state. */
export type StatesOfStage = Pick<TaskApi["Service"], "state" | "lockState" | "unlockState" | "pushState">

const byHand = { ID: "by hand", Operation: "state push", Who: "a person" }

/** Databases that are migrated and have no row: a simulation leaves its own to the next one, since most of a new one is its migration. */
const spare: Array<Context.Context<SqlClient.SqlClient>> = []
const newDatabase = Effect.suspend(() => Layer.buildWithScope(layerDatabase(":memory:"), Scope.makeUnsafe()))

const tablesOf = rows(Schema.Struct({ name: Schema.String }))
/** Deletes all rows but those that say what was migrated. No simulation writes an audit trail, whose rows cannot be deleted. */
const empty = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const tables = yield* tablesOf(sql`SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'effect_sql_migrations'`)
  yield* sql.withTransaction(Effect.gen(function*() {
    yield* sql`PRAGMA defer_foreign_keys = ON`
    for (const { name } of tables) yield* sql`DELETE FROM ${sql(name)}`
  }))
})

/** Decides what happens to a request, or to a commit of the server. */
export type Disturb = (process: Process, what: string) => Fault

/** A request that the server works on; `reset` fails it for the process that waits for its answer. */
interface Open {
  readonly reset: () => void
}

export class PoolServer {
  /** The result of each stage when it was first seen, by the stage's id; for the invariants. */
  readonly results = new Map<string, StageResult>()
  /** What a person confirmed, by the run's id, as it was at that moment; for the invariants. */
  readonly confirmed = new Map<string, Approved>()
  /** The engines whose beginning has already been checked; for the invariants. */
  readonly begun = new Set<Engine>()
  /** The journal of each stage as the server has taken it, by the stage's id; for the invariants. */
  readonly heard = new Map<string, ReadonlyArray<JournalEntry>>()
  readonly #thread: OneThread
  readonly #disk: Process
  readonly #sql: Context.Context<SqlClient.SqlClient>
  /** The same, as the server has it. */
  readonly #mortal: Context.Context<SqlClient.SqlClient>
  readonly #disturb: Disturb
  readonly #files = new Map<string, Uint8Array>()
  readonly #random: (size: number) => Uint8Array
  #process: Process | undefined
  #stores: Context.Context<Stores | SqlClient.SqlClient> | undefined
  readonly #open = new Set<Open>()
  readonly #scope = Scope.makeUnsafe()
  #read: { readonly written: number; readonly stored: Stored } | undefined
  /** The addresses of what is in a state, by its digest. */
  readonly #contents = new Map<string, ReadonlyArray<string>>()

  constructor(thread: OneThread, seed: number, disturb: Disturb) {
    this.#thread = thread
    this.#disturb = disturb
    const random = randomOf(seed)
    this.#random = (size) => Uint8Array.from({ length: size }, () => Math.floor(random() * 256))
    this.#disk = new Process(thread, "disk", seed)
    this.#sql = spare.pop() ?? this.#now(this.#disk, newDatabase)
    this.#mortal = Context.make(SqlClient.SqlClient, mortal(Context.get(this.#sql, SqlClient.SqlClient), () => this.crash()))
    this.start()
  }

  /** Ends the server, and leaves its database, emptied, to the next one. */
  close(): void {
    this.#now(this.#disk, Scope.close(this.#scope, Exit.void))
    this.#now(this.#disk, Effect.provide(empty, this.#sql))
    spare.push(this.#sql)
  }

  /** Runs an effect that does not have to wait for anything, and returns its value. */
  #now<A, E>(process: Process, effect: Effect.Effect<A, E>): A {
    let exit: Exit.Exit<A, E> | undefined
    process.run(Effect.map(Effect.exit(Effect.provideService(effect, RandomBytes, this.#random)), (_) => {
      exit = _
    }))
    if (exit === undefined) throw new Error("the pool's server waits where it must not")
    if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
    return exit.value
  }

  start(): void {
    if (this.#process?.alive === true) return
    this.#process = new Process(this.#thread, "pool", 0)
    const made = this.#now(
      this.#process,
      Layer.buildWithScope(Layer.provide(stores, blobsIn(this.#files)), this.#scope).pipe(Effect.provide(this.#mortal))
    )
    this.#stores = Context.merge(made, this.#mortal)
  }
  crash(): void {
    this.#process?.kill()
    for (const { reset } of this.#open) reset()
    this.#open.clear()
  }

  /** Does what a person asks for; nothing if the server is down. */
  #do(storing: Storing<void>): void {
    if (this.#process?.alive === true) this.#now(this.#process, this.#provided(storing))
  }
  #provided<A, E>(storing: Storing<A, E>): Effect.Effect<A, E> {
    if (this.#stores === undefined) throw new Error("the pool's server was never started")
    return Effect.provide(storing, this.#stores)
  }

  /** Sends one request over the network: the server works on it to its end, and the client may not get the answer. */
  #request<A, E, F>(
    what: string,
    fault: Fault,
    storing: Storing<A, E>,
    unreachable: (detail: string) => F
  ): Effect.Effect<A, E | F> {
    const process = this.#process
    if (process?.alive !== true || fault === "not sent") return Effect.fail(unreachable("connection refused"))
    if (isRefused(fault)) return Effect.fail(unreachable("503"))
    let ended: Exit.Exit<A, E | F> | undefined
    let tell: (exit: Exit.Exit<A, E | F>) => void = () => undefined
    const end = (exit: Exit.Exit<A, E | F>) => {
      ended ??= exit
      tell(ended)
    }
    const open: Open = { reset: () => end(Exit.fail(unreachable("connection reset"))) }
    this.#open.add(open)
    const handled = Effect.exit(Effect.provideService(this.#provided(storing), RandomBytes, this.#random)).pipe(
      Effect.provideService(AtCommit, () => this.#disturb(process, commitOf(what))),
      Effect.map((exit) => {
        this.#open.delete(open)
        end(exit)
      })
    )
    process.run(handled)
    if (isUnheard(fault)) return Effect.fail(unreachable("connection reset"))
    return Effect.callback((resume) => {
      tell = (exit) => resume(exit)
      if (ended !== undefined) tell(ended)
    })
  }

  // ── agents and workers ──

  forAgent(process: Process): Pool["Service"] {
    const unreachable = (detail: string) => new PoolUnreachable({ url, detail })
    const refused = (error: unknown): PoolError =>
      error instanceof Refused
        ? error.status === 429 || error.status >= 500
          ? unreachable(String(error.status))
          : new PoolRefused({ url, status: error.status, code: error.error, detail: error.message })
        : error instanceof PoolUnreachable
        ? error
        : unreachable(String(error))
    const ask = <A>(what: string, storing: Storing<A>, poll = false) =>
      process.ask(what, (fault) => Effect.mapError(this.#request(what, fault, storing, unreachable), refused), poll)
    const assignments = <A>(use: (_: Assignments["Service"]) => Effect.Effect<A, unknown>): Storing<A> => Effect.flatMap(Assignments, use)
    return Pool.of({
      acquire: (agent, waitSeconds, max) =>
        ask("acquire", assignments((_) => _.acquire({ name: agent, pool, tokenHash: "" }, waitSeconds, max)), true),
      acknowledge: (id, taskUid) =>
        ask(`acknowledge ${id}`, assignments((_) => _.acknowledge(id, Speaker.Agent({ pool, taskUid: Option.some(taskUid) })))),
      cancellations: (after, waitSeconds) => ask("cancellations", assignments((_) => _.cancellations(after, waitSeconds)), true),
      report: (id, taskUid, result, from = url) =>
        ask(`report ${id}`, assignments((_) => _.end(id, Speaker.Agent({ pool, taskUid }), result))).pipe(
          Effect.catchIf((error) => isSettled(error, from), () => Effect.void)
        ),
      wait: (id, taskUid, reason, message) =>
        ask(`wait ${id}`, assignments((_) => _.wait(id, Speaker.Agent({ pool, taskUid }), reason, message)))
    })
  }

  /** Returns the requests of a worker, which the task API admits by the token of its stage and the UID of its task. */
  forWorker(process: Process, token: string, taskUid: string, reaches: () => boolean) {
    const unreachable = (detail: string) => new NoAnswer({ detail })
    const said = (error: unknown): TaskApiError =>
      error instanceof Refused
        ? refusalOf(url, error.status, JSON.stringify({ ...error.details, error: error.error, message: error.message }))
        : unreachable(String(error))
    const ask = <A>(what: string, storing: Storing<A>): Effect.Effect<A, TaskApiError> =>
      process.ask(what, (fault) => Effect.mapError(this.#request(what, reaches() ? fault : "not sent", storing, unreachable), said))
    const stageThat = (isHeard: (stage: StageRow) => Storing<boolean>): Storing<StageRow> =>
      Effect.gen(function*() {
        const assignments = yield* Assignments
        const found = yield* assignments.byToken(token)
        if (found === undefined) return yield* unauthorized()
        const stage = yield* assignments.enter(found, Option.some(taskUid))
        return (yield* isHeard(stage)) ? stage : yield* unauthorized()
      })
    const open = stageThat(({ endedAt }) => Effect.succeed(endedAt === null))
    const states = <A>(use: (_: StageStates["Service"], stage: StageRow) => Effect.Effect<A, unknown>): Storing<A> =>
      Effect.flatMap(open, (stage) => Effect.flatMap(StageStates, (_) => use(_, stage)))
    const { heard } = this
    /** As the routes of the task API take it: nothing of a stage that is over and left nothing in doubt. */
    const append = (entries: ReadonlyArray<JournalEntry>) =>
      Effect.flatMap(stageThat(() => Effect.succeed(true)), (stage) =>
        Effect.gen(function*() {
          const [ends, states] = [yield* StageEnds, yield* StageStates]
          if (!(yield* states.mayPush(stage))) return yield* conflict("stage-over", "the stage is over and left nothing in doubt")
          const number = yield* ends.journal(stage.id, entries)
          const before = heard.get(stage.id) ?? []
          heard.set(stage.id, [...before, ...entries.filter((entry) => entry.number > before.length)])
          return { number }
        }))
    const mayPush = stageThat((stage) => Effect.flatMap(StageStates, (_) => _.mayPush(stage)))
    return {
      details: ask("the assignment", Effect.asVoid(open)),
      storePlan: ask(
        "the saved plan",
        Effect.flatMap(
          open,
          (found) =>
            Effect.flatMap(Runs, (runs) => runs.savePlan(found.runId, found.id, { sha256: planOf(found.id), sizeBytes: 0, aside: "" }))
        )
      ),
      appendEffects: (entries: ReadonlyArray<JournalEntry>) =>
        storedUpTo(ask("the journal", append(entries)), JournalPosition, ({ number }) => number),
      result: (result: StageResult) =>
        ask(
          "the result",
          Effect.flatMap(stageThat(({ endedAt, result }) => Effect.succeed(endedAt === null || result !== null)), (found) =>
            Effect.flatMap(Assignments, (_) => _.end(found.id, Speaker.Worker({ taskUid: Option.some(taskUid) }), result)))
        ),
      states: {
        state: ask(
          "the state",
          Effect.flatMap(states((_, stage) => _.current(stage)), (version) => Effect.flatMap(StateVersions, (_) => _.read(version)))
        ).pipe(
          Effect.map(Option.some),
          Effect.catchTag("Declined", (error) => error.status === 404 ? Effect.succeedNone : Effect.fail(error))
        ),
        lockState: (info) => ask("the lock", Effect.map(states((_, stage) => _.lock(stage, info)), (epoch) => ({ id: info.ID, epoch }))),
        unlockState: (info) => ask("the end of the lock", states((_, stage) => _.unlock(stage, info))),
        pushState: (bytes, sha256, { epoch, id }) =>
          ask(
            "a new state",
            Effect.flatMap(mayPush, (stage) =>
              Effect.flatMap(StageStates, (_) => _.push(stage, { bytes, sha256, lockId: id, epoch: Option.some(epoch) })))
          )
      } satisfies StatesOfStage
    }
  }

  // ── people ──

  startRun(workspace: string, { autoApply, destroy, planOnly }: Pick<NewRun, "autoApply" | "destroy" | "planOnly">): void {
    const nth = this.stored.runs.length
    const archiveSha256 = archiveOf(nth)
    this.#do(Effect.gen(function*() {
      const [runs, workspaces, sql] = [yield* Runs, yield* Workspaces, yield* SqlClient.SqlClient]
      const { id: workspaceId } = yield* workspaces.ensure(WorkspaceName.make(workspace))
      const configurationVersionId = `cv-${nth}`
      yield* sql`INSERT INTO configurationVersions (id, seq, workspaceId, speculative, status, sha256, createdAt) 
        SELECT ${configurationVersionId}, COALESCE(MAX(seq), 0) + 1, ${workspaceId}, 0, 'uploaded', ${archiveSha256}, '2026-01-01T00:00:00Z' FROM configurationVersions`
      yield* runs.create({
        workspaceId,
        configurationVersionId,
        archiveSha256,
        planOnly,
        autoApply,
        destroy,
        message: "",
        engine: undefined,
        options: destroy ? { destroy } : {},
        variables: []
      })
    }))
  }
  /** Decides on a run, as a person; nothing if this is the wrong moment for that. */
  decide(nth: number, event: RunEvent): void {
    const id = this.#runAt(nth)
    if (id !== undefined) this.#step(id, event)
  }
  /** Asks a run to stop, and ends it by force at once, as a person whose patience is over. */
  forceCancel(nth: number): void {
    const id = this.#runAt(nth)
    if (id === undefined) return
    this.#step(id, RunEvent.Cancel())
    this.#do(Effect.ignore(Effect.flatMap(StageEnds, (_) => _.forceCancel(id, "a person"))))
  }
  #runAt(nth: number): RunId | undefined {
    const { runs } = this.stored
    return runs[nth % Math.max(runs.length, 1)]?.id
  }
  #step(id: RunId, event: RunEvent): void {
    const run = this.stored.runs.find((one) => one.id === id)
    const heard = Effect.sync(() => {
      if (event._tag !== "Confirm" || run === undefined || this.confirmed.has(id)) return
      this.confirmed.set(id, { plan: run.planSha256, archive: run.archiveSha256 })
    })
    this.#do(Effect.ignore(Effect.andThen(Effect.flatMap(Runs, (runs) => runs.step(id, event)), heard)))
  }
  /** Confirms each plan that waits for a person. */
  confirmAll(): void {
    for (const { id, status } of this.stored.runs) if (status === "planned") this.#step(id, RunEvent.Confirm({}))
  }
  /** Imports what is missing in a workspace, as a person; nothing if nothing can be imported, or not now. */
  importMissing(workspace: string): void {
    this.#do(Effect.ignore(Effect.flatMap(ImportRuns, (imports) => imports.start(workspace, person))))
  }
  /**
   * Settles each state in doubt, as a person would who has seen what is missing in it, so that its workspace can go on. One for which an
   * import applies is left to that.
   */
  settleAll(): void {
    this.#do(Effect.gen(function*() {
      const [refused, rescues, settlements] = [yield* Evidence, yield* Rescues, yield* Settlements]
      const [states, workspaces] = [yield* StateVersions, yield* Workspaces]
      for (const { id, name } of yield* workspaces.list) {
        const pending = yield* rescues.pending(id)
        if (pending.length === 0) continue
        const [newest] = yield* refused.list(id)
        const version = yield* states.current(id)
        yield* settlements.settle(name, { caller: person, shown: person.name }, {
          pending: pending.map((one) => one.id),
          ...(newest !== undefined && { evidence: newest.id }),
          ...(version !== undefined && { version: version.id })
        }).pipe(Effect.catchIf((error) => error instanceof Refused && error.error === "import-runs", () => Effect.void))
      }
    }))
  }

  /** Breaks the lock of a workspace, whoever has it, and takes it, as a person. */
  lockByForce(workspace: string): void {
    this.#do(
      Effect.gen(function*() {
        const [locks, workspaces] = [yield* StateLocks, yield* Workspaces]
        const { id, lockInfo } = yield* workspaces.named(workspace)
        if (lockInfo !== null) yield* locks.forceUnlock(id, lockInfo.ID, "a person")
        yield* locks.lock(id, byHand, { person: "a person" })
      }).pipe(Effect.ignore)
    )
  }
  /** Writes a state as the person who took the lock, if there is one that it can follow, and releases the lock. */
  writeByHand(workspace: string): void {
    this.#do(
      Effect.gen(function*() {
        const [locks, states, workspaces] = [yield* StateLocks, yield* StateVersions, yield* Workspaces]
        const { id } = yield* workspaces.named(workspace)
        const before = yield* states.current(id)
        if (before !== undefined) {
          const bytes = written(yield* states.read(before), byHand.ID)
          yield* states.accept(id, { bytes, sha256: undefined, lockId: byHand.ID, by: undefined })
        }
        yield* locks.unlock(id, byHand.ID, { person: "a person" })
      }).pipe(Effect.ignore)
    )
  }

  /** What is stored, whether the server is up or down; it is read anew only after something was written. */
  get stored(): Stored {
    const written = this.#now(this.#disk, Effect.provide(writes, this.#sql))
    if (this.#read?.written !== written) this.#read = { written, stored: this.#now(this.#disk, Effect.provide(stored, this.#sql)) }
    return this.#read.stored
  }
  /** The addresses of what is in the newest state of a workspace. */
  savedOf(workspaceId: string, { states }: Stored): ReadonlyArray<string> {
    const newest = states.findLast((state) => state.workspaceId === workspaceId)
    const bytes = this.#files.get(newest?.sha256 ?? "")
    if (newest === undefined || bytes === undefined) return []
    const contents = this.#contents.get(newest.sha256) ?? addressesIn(bytes)
    this.#contents.set(newest.sha256, contents)
    return contents
  }
  get isOver(): boolean {
    return this.stored.runs.every(({ status }) => isFinal(status))
  }
}
