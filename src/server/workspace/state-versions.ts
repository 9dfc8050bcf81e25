// The states of workspaces: every accepted body is a version, taken only under the current lock; a stage's refused one is kept as evidence.
// Invariants: each follows its predecessor, or replaces it by a person's word (core/state/state-succession); it is on disk till superseded.
// Used by the task API (workers), the state API (people), the rescues and the TFE routes (outputs).
import { Context, Effect, Layer, Schema, Stream } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { rescueAdvice } from "../../core/run/state-doubt.ts"
import { isNone, type Obstacle, obstacleTo } from "../../core/state/state-succession.ts"
import { stateLimitBytes } from "../../schema/api/task-api.ts"
import { RunId, Sha256, Timestamp, type WorkspaceName } from "../../schema/names.ts"
import { conflict, invalid, orNotFound, Refused, type StoreFailure } from "../refused.ts"
import { actsOn } from "../store/act.ts"
import { Blobs, type Received } from "../store/blobs.ts"
import { isAny, row, rows } from "../store/database.ts"
import { newId } from "../store/ids.ts"
import { now } from "../store/instants.ts"
import { Named, NamedBlobs } from "../store/named-blobs.ts"
import type { RefusedStateFate } from "./evidence.ts"
import { fateDetails, fateSentence, makeKeepRefused, type StateToKeep } from "./refused-states.ts"
import { Rescues } from "./rescues.ts"
import { Heap, identify, identifyOfStage } from "./state-body.ts"
import { StateLocks, type Writer } from "./state-locks.ts"
import { type Workspace, Workspaces } from "./workspaces.ts"

export const StateVersion = Schema.Struct({
  id: Schema.String,
  workspaceId: Schema.String,
  runId: Schema.NullOr(RunId),
  serial: Schema.Int,
  lineage: Schema.String,
  sha256: Sha256,
  sizeBytes: Schema.Int,
  createdAt: Timestamp
})
export type StateVersion = typeof StateVersion.Type

/** A body as it came. `sha256` is the digest that the sender claims. */
interface Body {
  readonly bytes: Uint8Array
  readonly sha256?: string | undefined
}

/** A state that somebody writes under a lock: a stage, or if `by` is undefined, a person. */
interface NewState extends Body {
  readonly lockId: string | undefined
  readonly by: Writer | undefined
}

/** A state whose bytes are received, but not stored yet. */
interface Arrived extends Pick<StateVersion, "serial" | "lineage"> {
  readonly received: Received
}

/** A state that comes after the end of its stage. `why` is a sentence for the person who looks at it. */
export interface LateState extends Body, Pick<StateToKeep, "doubt" | "unlessPending" | "why" | "writer"> {}

/** A state that a person brings, and the version that it is to replace. */
interface Brought extends Pick<Body, "bytes"> {
  readonly replace: string | undefined
}

/** `serial` is what the person is told, and what the state must have. `unlike` is the refusal of bytes that are no state. */
interface Adopted extends Pick<Body, "bytes"> {
  readonly runId: RunId
  readonly serial: number
  readonly unlike: Refused
}

/** The refusal of a state with another serial than its head has, which was read alone, or in which the serial was raised. */
const twoSerials = (serial: number, parsed: number) =>
  invalid(
    `The state was to have the serial ${serial} and says ${parsed} further down, so it is not as the engines write one, and nothing was settled; push it by hand under a lock with one serial, then settle with --keep.`
  )

const noneFound = invalid(
  "This is what `state pull` prints where it finds no state, without a lineage, so nothing was stored; see that the directory that it comes from has the right backend, workspace of the engine and credentials."
)

/**
 * How many bodies of one writer are kept: of a run, or of one lock of a person. An engine sends its state every 20 s, so a long apply would
 * fill the disk; each state has in it what those before it have.
 */
const keptOfWriter = 5

export class StateVersions extends Context.Service<StateVersions, {
  /** Returns a version by its id; fails with 404 if there is none, or if its body is gone. */
  readonly get: (id: string) => Effect.Effect<StateVersion, StoreFailure>
  /** Returns the current state of the workspace; undefined before the first. */
  readonly current: (workspaceId: string) => Effect.Effect<StateVersion | undefined, SqlError.SqlError>
  /** Reports whether a state of the run was ever stored; its body may be gone by now. */
  readonly hasAnyOf: (runId: RunId) => Effect.Effect<boolean, SqlError.SqlError>
  /** Reports whether a state with this digest was ever stored in the workspace of the run; its body may be gone by now. */
  readonly hasEver: (runId: RunId, sha256: Sha256) => Effect.Effect<boolean, SqlError.SqlError>
  /** Returns the whole body, at most 64 MiB. Fails with 503 when it is damaged. */
  readonly read: (version: StateVersion) => Effect.Effect<Uint8Array, Refused>
  /**
   * Stores a state as the workspace's next version; the same body under the same serial is success and no new version. Fails with 409
   * `not-locked` or `locked` without the current lock, `other-lineage` or `old-serial` where it may not follow, or `digest-mismatch`; with
   * 422 if it is no state or has too much in it. A stage's state that is refused for its lock, its place or its size is kept as evidence,
   * which the message and `kept` in the details say.
   */
  readonly accept: (workspaceId: string, state: NewState) => Effect.Effect<void, StoreFailure>
  /**
   * Keeps a state of a stage that is over as evidence, with an open rescue. Returns what became of it, even if it was dropped. Fails with
   * `unlessPending`, if that is given and the stage has no pending rescue.
   */
  readonly keepAsEvidence: (stageId: string, workspaceId: string, state: LateState) => Effect.Effect<RefusedStateFate, StoreFailure>
  /**
   * Makes a state the next version, where nobody has the lock, under an epoch of its own, and runs `also` in the same transaction. Fails
   * with 409 `locked`, with 422 if its serial is another, and otherwise as `accept`.
   */
  readonly adopt: <E>(
    workspaceId: string,
    state: Adopted,
    also: Effect.Effect<void, E>
  ) => Effect.Effect<void, E | StoreFailure>
  /**
   * Stores a state that a person brings as the next version, where nobody has the lock, under an epoch of its own; a workspace that is not
   * there yet is made with it. `replace` is the version that it takes the place of, whatever lineage that has. Then it has to be or to
   * follow the last state that the workspace had of its own lineage, since plans and seals know a state by lineage and serial; without it,
   * fails as `accept`. Fails with 409 `changed` if another version is stored, `wrong-moment` while a run holds the workspace, whose plan or
   * apply is of the stored state, and `rescue-pending` while that is in doubt; with 422 if the engine that printed it had found none.
   */
  readonly push: (name: WorkspaceName, state: Brought) => Effect.Effect<void, StoreFailure>
}>()("agent-job/server/StateVersions") {
  static readonly layer = Layer.effect(StateVersions, Effect.suspend(() => make))
}

const refusedAs = ({ error, message }: Obstacle) => error === "invalid" ? invalid(message) : conflict(error, message)

const isSame = (version: StateVersion | undefined, { received, serial }: Arrived): boolean =>
  version?.serial === serial && version.sha256 === received.sha256

/** Reports whether a state was refused for its lock or its place in the succession. */
const isRefusal = ({ error }: Refused) =>
  error === "locked" || error === "not-locked" || error === "other-lineage" || error === "old-serial"

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const blobs = yield* Blobs
  const heapBytes = yield* Heap
  const keepRefused = yield* makeKeepRefused
  const locks = yield* StateLocks
  const { removeUnnamed } = yield* NamedBlobs
  const rescues = yield* Rescues
  const workspaces = yield* Workspaces

  const current = (workspaceId: string) =>
    row(StateVersion)(
      sql`SELECT stateVersions.* FROM stateVersions JOIN workspaces ON workspaces.stateVersionId = stateVersions.id WHERE workspaces.id = ${workspaceId}`
    )

  /** Returns the last state that the workspace had of a lineage, in whose place one of another lineage may stand since. */
  const lastOf = (workspaceId: string, lineage: string) =>
    row(StateVersion)(
      sql`SELECT * FROM stateVersions WHERE workspaceId = ${workspaceId} AND lineage = ${lineage} ORDER BY epoch DESC, seq DESC LIMIT 1`
    )

  const insert = Effect.fnUntraced(
    function*({ epoch, id: workspaceId }: Workspace, { lineage, received, serial }: Arrived, runId: RunId | null) {
      const id = yield* newId("sv")
      yield* sql`INSERT INTO stateVersions (id, seq, workspaceId, runId, serial, lineage, sha256, sizeBytes, epoch, createdAt)
      SELECT ${id}, COALESCE(MAX(seq), 0) + 1, ${workspaceId}, ${runId}, ${serial}, ${lineage}, ${received.sha256}, ${received.sizeBytes}, ${epoch}, ${yield* now}
      FROM stateVersions`
      yield* sql`UPDATE workspaces SET stateVersionId = ${id} WHERE id = ${workspaceId}`
      yield* blobs.store(received)
      yield* actsOn(id)
    }
  )

  /**
   * Supersedes the older states of one writer, and removes the files that are no longer needed after the commit. A stage's states count by
   * run, since a stage may lock as often as it likes.
   */
  const supersede = Effect.fnUntraced(function*({ epoch, id }: Workspace, runId: RunId | undefined) {
    const ofWriter = runId === undefined ? sql`workspaceId = ${id} AND epoch = ${epoch}` : sql`runId = ${runId}`
    const superseded = yield* rows(Named)(
      sql`UPDATE stateVersions SET supersededAt = ${yield* now} WHERE supersededAt IS NULL AND id IN (
      SELECT id FROM stateVersions WHERE ${ofWriter} ORDER BY seq DESC LIMIT -1 OFFSET ${keptOfWriter}) RETURNING sha256`
    )
    yield* sql.afterCommit(removeUnnamed(superseded))
  })

  const receive = ({ bytes, sha256 }: Body) =>
    blobs.receive(Stream.succeed(bytes), { limitBytes: stateLimitBytes, expected: sha256, isState: true })

  /** Receives a state that a person sends or decides on. Fails with 422 if it has too much in it, and with `unlike` if it is no state. */
  const arrived = Effect.fnUntraced(function*(body: Body, unlike?: Refused) {
    const received = yield* receive(body)
    const { excess, lineage, serial } = yield* identify(heapBytes, body.bytes, unlike)
    if (excess !== undefined) return yield* excess
    return { lineage, serial, received }
  })

  /** Receives a state that a stage sends, also if it has too much in it, which `excess` is the refusal of. */
  const arrivedOfStage = Effect.fnUntraced(function*(body: Body) {
    const received = yield* receive(body) // first, so that what was damaged on its way is not taken for something that is no state
    const { excess, lineage, serial } = yield* identifyOfStage(heapBytes, body.bytes)
    return { excess, state: { lineage, serial, received } }
  })

  /** Stores a state under the lock of its writer. */
  const storeLocked = Effect.fnUntraced(function*(workspaceId: string, { by, lockId }: Pick<NewState, "by" | "lockId">, state: Arrived) {
    const workspace = yield* locks.heldBy(by, lockId, workspaceId)
    const before = yield* current(workspaceId)
    if (isSame(before, state)) return yield* blobs.store(state.received) // its file may be damaged
    const obstacle = obstacleTo(before, state)
    if (obstacle !== undefined) return yield* refusedAs(obstacle)
    yield* insert(workspace, state, by?.runId ?? null)
    yield* supersede(workspace, by?.runId)
  }, sql.withTransaction)

  /** Stores a state where nobody has the lock, in the caller's transaction and under an epoch of its own. */
  const storeUnlocked = (workspace: Workspace, state: Arrived, runId: RunId | null) =>
    Effect.andThen(
      sql`UPDATE workspaces SET epoch = epoch + 1 WHERE id = ${workspace.id}`,
      insert({ ...workspace, epoch: workspace.epoch + 1 }, state, runId)
    )

  /** Keeps a refused state of a stage. Succeeds if it was stored before; otherwise fails with the refusal, which says what became of it. */
  const keepInstead = Effect.fnUntraced(function*(workspaceId: string, stageId: string, state: Arrived, refused: Refused) {
    const fate = yield* keepRefused({ ...state, workspaceId, stageId, why: refused.message })
    if (fate._tag === "Stored") return
    return yield* new Refused({
      ...refused,
      message: `${refused.message} ${fateSentence(fate)}`,
      details: { ...refused.details, ...fateDetails(fate) }
    })
  })

  /** Stores a state of a stage, or keeps it as evidence where it is refused for its lock, its place or its size. */
  const acceptOfStage = Effect.fnUntraced(function*(workspaceId: string, by: Writer, { lockId, ...body }: Omit<NewState, "by">) {
    const { excess, state } = yield* arrivedOfStage(body)
    const stored = excess === undefined ? storeLocked(workspaceId, { by, lockId }, state) : Effect.fail(excess)
    return yield* Effect.catchTag(stored, "Refused", (refused) =>
      refused === excess || isRefusal(refused)
        ? keepInstead(workspaceId, by.holder, state, refused)
        : Effect.fail(refused))
  })

  const accept = Effect.fn("StateVersions.accept")(function*(workspaceId: string, { by, ...sent }: NewState) {
    if (by === undefined) yield* storeLocked(workspaceId, { by, lockId: sent.lockId }, yield* arrived(sent))
    else yield* acceptOfStage(workspaceId, by, sent)
  }, Effect.scoped)

  const keepAsEvidence = Effect.fn("StateVersions.keepAsEvidence")(
    function*(stageId: string, workspaceId: string, { doubt, unlessPending, why, writer, ...body }: LateState) {
      const { excess, state } = yield* arrivedOfStage(body)
      return yield* keepRefused({
        ...state,
        workspaceId,
        stageId,
        why: excess === undefined ? why : `${why} ${excess.message}`,
        doubt,
        unlessPending,
        writer
      })
    },
    Effect.scoped
  )

  const adopt = Effect.fn("StateVersions.adopt")(
    function*<E>(workspaceId: string, { bytes, runId, serial, unlike }: Adopted, also: Effect.Effect<void, E>) {
      const state = yield* arrived({ bytes }, unlike)
      if (state.serial !== serial) return yield* twoSerials(serial, state.serial)
      yield* sql.withTransaction(Effect.gen(function*() {
        const workspace = yield* locks.heldByNobody(workspaceId)
        const obstacle = obstacleTo(yield* current(workspaceId), state)
        if (obstacle !== undefined) return yield* refusedAs(obstacle)
        yield* also
        yield* storeUnlocked(workspace, state, runId)
      }))
    },
    Effect.scoped
  )

  /** Returns the refusal of a state with the command that stores it all the same, for the person who sent it. */
  const sayingHow = ({ name, stateVersionId }: Workspace, obstacle: Obstacle) =>
    refusedAs(
      obstacle.error !== "other-lineage" ? obstacle : {
        ...obstacle,
        message:
          `${obstacle.message} If it is the right one for ${name}, put it in the place of the stored one with: agent-job state push ${name} FILE --replace ${stateVersionId}`
      }
    )

  /** Fails while a run holds the workspace or its state is in doubt. */
  const refuseUnlessFree = Effect.fnUntraced(function*({ currentRunId, id, name }: Workspace) {
    if (currentRunId !== null) {
      return yield* conflict(
        "wrong-moment",
        `The run ${currentRunId} holds the workspace ${name}, so its state stays as it is; wait for the end of the run, or end it with: agent-job cancel ${currentRunId}`
      )
    }
    if ((yield* rescues.pending(id)).length > 0) {
      return yield* conflict(
        "rescue-pending",
        `The state of ${name} is in doubt, so nothing was stored; ${
          rescueAdvice(name)
        }. To store one that the doubt is then settled with, push it with the engine's http backend, which locks it (docs/state.md, "Bring an existing state").`
      )
    }
  })

  const push = Effect.fn("StateVersions.push")(function*(name: WorkspaceName, { bytes, replace }: Brought) {
    const state = yield* arrived({ bytes })
    if (isNone(state)) return yield* noneFound // stored, it would keep a first plan from telling of the old place
    yield* sql.withTransaction(Effect.gen(function*() { // with the workspace in it, so that a refused state makes none
      const { id: workspaceId } = yield* workspaces.ensure(name)
      const workspace = yield* locks.heldByNobody(workspaceId)
      yield* refuseUnlessFree(workspace)
      const before = yield* current(workspaceId)
      if (isSame(before, state)) return yield* blobs.store(state.received)
      if (replace !== undefined && replace !== before?.id) {
        return yield* conflict(
          "changed",
          `${replace} is not what is stored for ${name} now, so nothing was replaced; look again with: agent-job state show ${name}`
        )
      }
      const last = replace === undefined ? before : yield* lastOf(workspaceId, state.lineage)
      const obstacle = isSame(last, state) ? undefined : obstacleTo(last, state)
      if (obstacle !== undefined) return yield* sayingHow(workspace, obstacle)
      yield* storeUnlocked(workspace, state, null)
    }))
  }, Effect.scoped)

  return StateVersions.of({
    get: (id) => Effect.flatMap(row(StateVersion)(sql`SELECT * FROM stateVersions WHERE id = ${id} AND supersededAt IS NULL`), orNotFound),
    current,
    hasAnyOf: (runId) => isAny(sql`SELECT 1 FROM stateVersions WHERE runId = ${runId} LIMIT 1`),
    hasEver: (runId, sha256) =>
      isAny(
        sql`SELECT 1 FROM stateVersions WHERE sha256 = ${sha256} AND workspaceId = (SELECT workspaceId FROM runs WHERE id = ${runId}) LIMIT 1`
      ),
    read: ({ sha256 }) => blobs.read(sha256),
    accept,
    keepAsEvidence,
    adopt,
    push
  })
})
