// States of workspaces: every accepted body is a version, taken only under the current lock; a stage's that is refused is kept as evidence.
// Invariants: each lock raises the workspace's epoch; the lineage stays; the serial never falls; what was answered is on disk, until more of the same run are.
// Used by the task API (workers), the state API (people), the rescues and the TFE routes (outputs).
import { Context, Effect, Layer, Option, Result, Schema, Stream } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { jsonExcess } from "../core/json-depth.ts"
import { stateHead } from "../core/state-head.ts"
import { Stage } from "../schema/agent-task.ts"
import { RunId, Sha256, Timestamp } from "../schema/names.ts"
import { type KeptRefusal, LockInfo, stateLimitBytes } from "../schema/task-api.ts"
import { Blobs, type Received } from "./blobs.ts"
import { row, rows } from "./database.ts"
import { Evidence, type Refusal } from "./evidence.ts"
import { newId } from "./ids.ts"
import { NamedBlobs } from "./named-blobs.ts"
import { conflict, invalid, Refused, unauthorized } from "./refused.ts"
import { Rescues } from "./rescues.ts"
import { now, type Workspace, Workspaces } from "./workspaces.ts"

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
const Superseded = StateVersion.mapFields(({ sha256 }) => ({ sha256 }))
type Superseded = typeof Superseded.Type

const Output = Schema.Struct({
  value: Schema.Unknown,
  type: Schema.optionalKey(Schema.Unknown),
  sensitive: Schema.optionalKey(Schema.Boolean)
})

/** What is read of a state; the rest is the engine's. */
export const State = Schema.Struct({
  serial: Schema.Int,
  lineage: Schema.String,
  outputs: Schema.optionalKey(Schema.Record(Schema.String, Output))
})
export type State = typeof State.Type

interface NewState {
  readonly bytes: Uint8Array
  readonly sha256: string | undefined
  readonly lockId: string | undefined
  /**
   * Who writes: for a stage the lock must be its own and of this epoch, for anybody else a person's. Stock clients know no epoch; the id of
   * a lock is never given twice.
   */
  readonly by: { readonly holder: string; readonly epoch: number; readonly runId: RunId } | undefined
}

/** A lock that a person opened though a stage, or somebody else, held it. */
const ForcedUnlock = Schema.Struct({
  holder: Schema.String,
  lockInfo: Schema.fromJsonString(LockInfo),
  epoch: Schema.Int,
  forcedBy: Schema.String,
  forcedAt: Timestamp
})

/** A stage that ended. */
const Over = Schema.Struct({ stage: Stage, runId: RunId })

/**
 * Of a run, or of one lock of a person. An engine sends its state every 20 s, so that a long apply would fill the disk; each of them has in
 * it what those before have.
 */
const keptOfWriter = 5

/** Of any state, or so many more than the stored one's: above the largest number there would be none for the next. */
const serials = { highest: 2 ** 52, ahead: 1_000_000 }

/** The lock of everybody who is no stage. */
const person = "person"

/** What is known of a body. `excess`: why it can be kept and no more. */
interface Known extends Pick<State, "serial" | "lineage"> {
  readonly excess?: Refused
}

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(State))

/**
 * Levels: an output is printed again, which calls itself for each level. Values: parsed, two million take 60 to 340 MiB, as their kind is,
 * and the server has 512 MiB;
 * an engine writes one a line, of which 64 MiB have fewer.
 */
const parsable = { levels: 500, values: 2_000_000 }
const tooMuch = {
  levels: `The state is nested more than ${parsable.levels} levels deep.`,
  values:
    `The state has more than ${parsable.values} values, which would take more memory than the server has; split its workspace into smaller ones.`
}

/** Says that there is too much in a state for it to be parsed, whoever would. */
export const excessOf = (bytes: Uint8Array): Refused | undefined => {
  const excess = jsonExcess(parsable, bytes)
  return excess === undefined ? undefined : invalid(tooMuch[excess])
}

const parse = (bytes: Uint8Array) =>
  Result.match(decode(new TextDecoder().decode(bytes)), {
    onFailure: () => Effect.fail(invalid("The body is not a state: JSON with a serial and a lineage is expected.")),
    onSuccess: ({ lineage, serial }) => Effect.succeed<Known>({ lineage, serial })
  })

/** Of one with too much in it no more than its head, which is enough to keep it as evidence. */
const know = (bytes: Uint8Array): Effect.Effect<Known, Refused> => {
  const excess = excessOf(bytes)
  return excess === undefined ? parse(bytes) : Option.match(stateHead(bytes), {
    onNone: () => Effect.fail(excess),
    onSome: (head) => Effect.succeed({ ...head, excess })
  })
}

/** What became of a state that was to be evidence, and what is said of it: for a person, and for the worker. */
interface Left {
  readonly as: "evidence" | "nothing" | "stored"
  readonly sentence: string
  readonly details: typeof KeptRefusal.Type | undefined
}

const locked = ({ lockInfo, name }: Workspace) =>
  conflict(
    "locked",
    `The state of ${name} is locked by ${lockInfo?.Who ?? "somebody"} (${lockInfo?.ID ?? "?"}); wait, or unlock it.`,
    lockInfo ?? {}
  )

/** The four that say no to a state as such. */
const isRefusal = ({ error }: Refused) =>
  error === "locked" || error === "not-locked" || error === "other-lineage" || error === "old-serial"

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const blobs = yield* Blobs
  const evidence = yield* Evidence
  const { removeUnnamed } = yield* NamedBlobs
  const rescues = yield* Rescues
  const workspaces = yield* Workspaces

  /** Nothing of one whose body is gone. */
  const find = (id: string) => row(StateVersion)(sql`SELECT * FROM stateVersions WHERE id = ${id} AND supersededAt IS NULL`)
  const current = (workspaceId: string) =>
    row(StateVersion)(
      sql`SELECT stateVersions.* FROM stateVersions JOIN workspaces ON workspaces.stateVersionId = stateVersions.id WHERE workspaces.id = ${workspaceId}`
    )
  const read = (version: StateVersion) => blobs.read(version.sha256)
  /** Newest first. */
  const forcedUnlocks = (workspaceId: string, limit: number) =>
    rows(ForcedUnlock)(sql`SELECT * FROM forcedUnlocks WHERE workspaceId = ${workspaceId} ORDER BY seq DESC LIMIT ${limit}`)

  /** Gives the epoch. Who has the lock gets it again with the same id, since the answer may have been lost. */
  const lock = Effect.fn("StateVersions.lock")((workspaceId: string, info: LockInfo, holder: string) =>
    sql.withTransaction(Effect.gen(function*() {
      const workspace = yield* workspaces.get(workspaceId)
      const over = yield* sql`SELECT id FROM stages WHERE id = ${holder} AND endedAt IS NOT NULL`
      if (over.length > 0) return yield* unauthorized() // it ended while its request came, and nobody would open the lock
      const [forced] = holder === person ? [] : yield* rows(ForcedUnlock)(sql`SELECT * FROM forcedUnlocks WHERE holder = ${holder} LIMIT 1`)
      if (forced !== undefined) {
        return yield* conflict(
          "fenced",
          `The lock of this stage was opened by force (${forced.forcedBy}), so it gets none any more; start a new run.`
        )
      }
      if (workspace.lockInfo !== null) {
        return yield* workspace.lockInfo.ID === info.ID && workspace.lockHolder === holder
          ? Effect.succeed(workspace.epoch)
          : locked(workspace)
      }
      yield* sql`UPDATE workspaces SET epoch = epoch + 1, lockInfo = ${
        JSON.stringify(info)
      }, lockHolder = ${holder} WHERE id = ${workspaceId}`
      return workspace.epoch + 1
    }))
  )

  const open = (workspaceId: string) => sql`UPDATE workspaces SET lockInfo = NULL, lockHolder = NULL WHERE id = ${workspaceId}`

  /** Whoever holds it is fenced from then on: what it writes is refused and kept as evidence, and a stage gets no other lock. */
  const breakLock = Effect.fnUntraced(function*({ epoch, id, lockHolder, lockInfo }: Workspace, forcedBy: string) {
    yield* sql`INSERT INTO forcedUnlocks ${
      sql.insert({ workspaceId: id, holder: lockHolder, lockInfo: JSON.stringify(lockInfo), epoch, forcedBy, forcedAt: yield* now })
    }`
    yield* sql`UPDATE workspaces SET epoch = epoch + 1 WHERE id = ${id}`
    yield* open(id)
  })

  /**
   * A lock that is gone already is success, another one is refused; a stage opens only its own, a person also a stage's, which is by force.
   */
  const unlock = Effect.fn("StateVersions.unlock")((
    workspaceId: string,
    lockId: string,
    by: { readonly stage: string } | { readonly person: string }
  ) =>
    sql.withTransaction(Effect.gen(function*() {
      const workspace = yield* workspaces.get(workspaceId)
      if (workspace.lockInfo === null) return
      const isOwn = workspace.lockHolder === ("stage" in by ? by.stage : person)
      if (workspace.lockInfo.ID !== lockId || (!isOwn && "stage" in by)) return yield* locked(workspace)
      yield* "stage" in by || isOwn ? open(workspaceId) : breakLock(workspace, by.person)
    }))
  )

  /** A lock that is gone already is success; another one is of somebody whom the person did not see. */
  const forceUnlock = Effect.fn("StateVersions.forceUnlock")((workspaceId: string, lockId: string, forcedBy: string) =>
    sql.withTransaction(Effect.gen(function*() {
      const workspace = yield* workspaces.get(workspaceId)
      const { lockHolder, lockInfo, name } = workspace
      if (lockInfo === null) return
      if (lockInfo.ID !== lockId) {
        return yield* conflict(
          "changed",
          `The state of ${name} has another lock by now, ${lockInfo.ID} of ${lockHolder}, which was not opened; look again with: agent-job state show ${name}`
        )
      }
      yield* breakLock(workspace, forcedBy)
    }))
  )

  /**
   * How a stage stands to the state of its workspace, for as long as `release` was not called. A refused state that a person has decided on
   * counts no more.
   */
  const standing = Effect.fn("StateVersions.standing")(function*(holder: string) {
    const held = yield* sql`SELECT id FROM workspaces WHERE lockHolder = ${holder}`
    const forced = yield* sql`SELECT seq FROM forcedUnlocks WHERE holder = ${holder}`
    const refused =
      yield* sql`SELECT id FROM evidence WHERE stageId = ${holder} AND NOT EXISTS (SELECT 1 FROM rescues WHERE rescues.stageId = evidence.stageId AND rescues.settledAt > evidence.receivedAt)`
    return { lock: held.length > 0 ? "held" : forced.length > 0 ? "forced" : "none", refusedState: refused.length > 0 } as const
  })

  /** Frees what a stage held when it ended: its token is over, so nothing of it can come any more. */
  const release = (holder: string) =>
    Effect.asVoid(sql`UPDATE workspaces SET lockInfo = NULL, lockHolder = NULL WHERE lockHolder = ${holder}`)

  const insert = Effect.fnUntraced(
    function*(
      workspace: Workspace,
      version: Omit<StateVersion, "id" | "createdAt" | "workspaceId" | "sha256" | "sizeBytes">,
      received: Received
    ) {
      const id = yield* newId("sv")
      const made = { ...version, ...received, id, workspaceId: workspace.id, epoch: workspace.epoch, createdAt: yield* now }
      yield* sql`INSERT INTO stateVersions (id, seq, workspaceId, runId, serial, lineage, sha256, sizeBytes, epoch, createdAt)
      SELECT ${made.id}, COALESCE(MAX(seq), 0) + 1, ${made.workspaceId}, ${made.runId}, ${made.serial}, ${made.lineage}, ${made.sha256}, ${made.sizeBytes}, ${made.epoch}, ${made.createdAt}
      FROM stateVersions`
      yield* sql`UPDATE workspaces SET stateVersionId = ${id} WHERE id = ${workspace.id}`
      yield* blobs.store(received)
    }
  )

  /** Of those of one writer; gives the digests of the bodies that need no longer be there. A stage may lock as often as it likes. */
  const supersede = Effect.fnUntraced(function*({ epoch, id }: Workspace, runId: RunId | undefined) {
    const ofWriter = runId === undefined ? sql`workspaceId = ${id} AND epoch = ${epoch}` : sql`runId = ${runId}`
    return yield* rows(Superseded)(sql`UPDATE stateVersions SET supersededAt = ${yield* now} WHERE supersededAt IS NULL AND id IN (
      SELECT id FROM stateVersions WHERE ${ofWriter} ORDER BY seq DESC LIMIT -1 OFFSET ${keptOfWriter}) RETURNING sha256`)
  })

  const receive = (bytes: Uint8Array, expected?: string) => blobs.receive(Stream.succeed(bytes), { limitBytes: stateLimitBytes, expected })

  const endOf = (stageId: string) => row(Over)(sql`SELECT stage, runId FROM stages WHERE id = ${stageId} AND endedAt IS NOT NULL`)

  /** Its end may not have known of the state, and a person may have settled what it left in doubt. */
  const openIfOver = ({ stageId, workspaceId }: Refusal) =>
    Effect.flatMap(
      endOf(stageId),
      (over) =>
        over === undefined
          ? Effect.void
          : rescues.open({
            workspaceId,
            stageId,
            reason: "StateNotSaved",
            message: `The ${over.stage} of ${over.runId} sent a state after its end`
          })
    )

  /**
   * Keeps a state of a stage as evidence, for which a rescue is open if the stage is over; but not if the stage is over and the state was
   * stored before.
   */
  const keep = Effect.fnUntraced(function*(state: Refusal): Effect.fn.Return<Left, Refused | SqlError.SqlError> {
    if ((yield* endOf(state.stageId)) !== undefined) {
      const stored = yield* sql`SELECT id FROM stateVersions WHERE workspaceId = ${state.workspaceId} AND sha256 = ${state.received.sha256}`
      if (stored.length > 0) return { as: "stored", sentence: `It was stored before, with the serial ${state.serial}.`, details: undefined }
    }
    const kept = yield* evidence.keep(state, openIfOver(state))
    return kept === undefined
      ? { as: "nothing", sentence: "It is not kept, since states of higher serials are.", details: undefined }
      : { as: "evidence", sentence: `It is kept as ${kept.id}.`, details: { kept: true } }
  })

  /** Stores a state as the workspace's next version; the same body under the same serial is success and no new version. */
  const accept = Effect.fn("StateVersions.accept")(function*(workspaceId: string, { by, bytes, lockId, sha256 }: NewState) {
    const { excess, lineage, serial } = yield* know(bytes)
    if (excess !== undefined && by === undefined) return yield* excess
    const received = yield* receive(bytes, sha256)
    const superseded = yield* sql.withTransaction(Effect.gen(function*() {
      if (excess !== undefined) return yield* excess
      const workspace = yield* workspaces.get(workspaceId)
      if (workspace.lockInfo === null) {
        return yield* conflict("not-locked", `The state of ${workspace.name} is not locked; lock it before writing.`)
      }
      const isOwn = by === undefined ? workspace.lockHolder === person : by.holder === workspace.lockHolder && by.epoch === workspace.epoch
      if (workspace.lockInfo.ID !== lockId || !isOwn) return yield* locked(workspace)
      const before = yield* current(workspaceId)
      if (before?.serial === serial && before.sha256 === received.sha256) return yield* Effect.as(blobs.store(received), []) // its file may be damaged
      yield* Effect.fromResult(mayFollow(before, { lineage, serial }))
      yield* insert(workspace, { lineage, serial, runId: by?.runId ?? null }, received)
      return yield* supersede(workspace, by?.runId)
    })).pipe(
      Effect.catchTag(
        "Refused",
        (refused): Effect.Effect<ReadonlyArray<Superseded>, Refused | SqlError.SqlError> =>
          by === undefined || !(isRefusal(refused) || refused === excess) ? Effect.fail(refused) : Effect.flatMap(
            keep({ workspaceId, stageId: by.holder, lineage, serial, received, why: refused.message }),
            (left) =>
              left.as === "stored"
                ? Effect.succeed([])
                : Effect.fail(
                  new Refused({
                    ...refused,
                    message: `${refused.message} ${left.sentence}`,
                    details: { ...refused.details, ...left.details }
                  })
                )
          )
      )
    )
    yield* removeUnnamed(superseded)
  }, Effect.scoped)

  /** A state of a stage that is over can only be left as evidence, for which a rescue is open then. */
  const leave = Effect.fn("StateVersions.leave")(
    function*(
      stageId: string,
      workspaceId: string,
      { bytes, sha256, why }: { readonly bytes: Uint8Array; readonly sha256?: string | undefined; readonly why: string }
    ) {
      const { excess, lineage, serial } = yield* know(bytes)
      const received = yield* receive(bytes, sha256)
      return yield* keep({ workspaceId, stageId, lineage, serial, received, why: excess === undefined ? why : `${why} ${excess.message}` })
    },
    Effect.scoped
  )

  /** Makes a state the next version, where nobody has the lock, and does what belongs to it in the same transaction. */
  const adopt = Effect.fn("StateVersions.adopt")(
    function*<E>(workspaceId: string, bytes: Uint8Array, runId: RunId, also: Effect.Effect<void, E>) {
      const { excess, lineage, serial } = yield* know(bytes)
      if (excess !== undefined) return yield* excess
      const received = yield* receive(bytes)
      yield* sql.withTransaction(Effect.gen(function*() {
        const workspace = yield* workspaces.get(workspaceId)
        if (workspace.lockInfo !== null) return yield* locked(workspace)
        const before = yield* current(workspaceId)
        yield* Effect.fromResult(mayFollow(before, { lineage, serial }))
        yield* sql`UPDATE workspaces SET epoch = epoch + 1 WHERE id = ${workspaceId}`
        yield* also
        yield* insert({ ...workspace, epoch: workspace.epoch + 1 }, { lineage, serial, runId }, received)
      }))
    },
    Effect.scoped
  )

  return { find, current, read, forcedUnlocks, lock, unlock, forceUnlock, standing, release, accept, leave, adopt }
})

const mayFollow = (
  before: StateVersion | undefined,
  next: { readonly lineage: string; readonly serial: number }
): Result.Result<void, Refused> => {
  const highest = Math.max(serials.highest, (before?.serial ?? 0) + serials.ahead)
  if (next.serial > highest) {
    return Result.fail(
      invalid(
        `The state has the serial ${next.serial}; above ${highest} none is taken, so that others can follow it. Push it with a lower one.`
      )
    )
  }
  if (before === undefined) return Result.succeed(undefined)
  if (before.lineage !== next.lineage) {
    return Result.fail(
      conflict(
        "other-lineage",
        `The state has the lineage ${next.lineage}, the workspace's has ${before.lineage}: they are of different origin.`
      )
    )
  }
  return next.serial > before.serial
    ? Result.succeed(undefined)
    : Result.fail(
      conflict(
        "old-serial",
        `The state has the serial ${next.serial}, the workspace's is at ${before.serial} with other content; read it again first.`
      )
    )
}

export class StateVersions extends Context.Service<StateVersions>()("agent-job/server/StateVersions", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
