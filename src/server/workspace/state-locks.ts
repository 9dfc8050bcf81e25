// The locks on the states of workspaces: a state has one lock at a time, each under an epoch of its own.
// Invariant: each lock raises the workspace's epoch, and so does breaking one; a stage whose lock was broken never gets another.
// Used by state-versions (who may write), stage-states, state-routes, stage-ends (release) and workspace-state-routes (by force).
import { Context, Effect, Layer, Option, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import type { HoldOnState } from "../../core/run/state-doubt.ts"
import { harmless } from "../../core/text/sentence.ts"
import { LockInfo } from "../../schema/api/task-api.ts"
import { RunId, Timestamp, type WorkspaceName } from "../../schema/names.ts"
import { conflict, invalid, type StoreFailure, unauthorized } from "../refused.ts"
import { actsOn, endsAs } from "../store/act.ts"
import { isAny, row, rows } from "../store/database.ts"
import { now } from "../store/instants.ts"
import { type Workspace, Workspaces } from "./workspaces.ts"

/** A lock that a person opened by force, although a stage or another person held it. */
const ForcedUnlock = Schema.Struct({
  holder: Schema.String,
  lockInfo: Schema.fromJsonString(LockInfo),
  epoch: Schema.Int,
  forcedBy: Schema.String,
  forcedAt: Timestamp
})

/**
 * A stage that writes: the lock must be its own and of the epoch that it says; if it says none, it may not write. For any other writer the
 * lock must be a person's; stock clients know no epoch, but never use the id of a lock twice.
 */
export interface Writer {
  readonly holder: string
  readonly epoch: Option.Option<number>
  readonly runId: RunId
}

/** Who takes a lock or gives it back: a stage, by its id, or a person, by name. */
type By = { readonly stage: string } | { readonly person: string }

/** The holder of each lock that is not a stage's, which no id of a stage equals. */
const person = "person"
const holderOf = (by: By): string => "stage" in by ? by.stage : person

const locked = ({ lockInfo, name }: Workspace) =>
  conflict(
    "locked",
    `The state of ${name} is locked by ${lockInfo?.Who ?? "somebody"} (${lockInfo?.ID ?? "?"}); wait, or unlock it.`,
    lockInfo ?? {}
  )

export class StateLocks extends Context.Service<StateLocks, {
  /**
   * Locks the state and returns the epoch. The holder gets the lock again with the same id, since the answer may have been lost. Fails with
   * 409 `locked` and the lock of another holder, 409 `fenced` for a stage whose lock was broken, 401 for a stage that is over, 404, and 422
   * for an id that would do something in a terminal: clients print the texts of a lock as they are, and the code of a stage may write them.
   */
  readonly lock: (workspaceId: string, info: LockInfo, by: By) => Effect.Effect<number, StoreFailure>
  /** Does the same by the name of a workspace, which its first lock makes. */
  readonly lockNamed: (name: WorkspaceName, info: LockInfo, by: By) => Effect.Effect<number, StoreFailure>
  /**
   * Opens a lock. Succeeds if there is none; fails with 409 `locked` if there is another one. A stage opens only its own lock; a person
   * also opens a stage's, which counts as force.
   */
  readonly unlock: (workspaceId: string, lockId: string, by: By) => Effect.Effect<void, StoreFailure>
  /**
   * Opens a lock by force. Succeeds if there is none; fails with 409 `changed` if there is another one, whose holder the person did not
   * see.
   */
  readonly forceUnlock: (workspaceId: string, lockId: string, forcedBy: string) => Effect.Effect<void, StoreFailure>
  /** Returns the locks that were opened by force, newest first. */
  readonly forcedUnlocks: (
    workspaceId: string,
    limit: number
  ) => Effect.Effect<ReadonlyArray<typeof ForcedUnlock.Type>, SqlError.SqlError>
  /**
   * Returns the workspace if the writer has its lock; otherwise fails with 409 `not-locked` or `locked`. Call it in the transaction that
   * writes.
   */
  readonly heldBy: (writer: Writer | undefined, lockId: string | undefined, workspaceId: string) => Effect.Effect<Workspace, StoreFailure>
  /** Returns the workspace if nobody has its lock; otherwise fails with 409 `locked`. Call it in the transaction that writes. */
  readonly heldByNobody: (workspaceId: string) => Effect.Effect<Workspace, StoreFailure>
  /** Returns how a stage stands to the state. Ask before `release`, which forgets the lock. */
  readonly standing: (holder: string) => Effect.Effect<HoldOnState, SqlError.SqlError>
  /** Frees the lock that a stage held when it ended: its token is void, so nothing more of it can come. */
  readonly release: (holder: string) => Effect.Effect<void, SqlError.SqlError>
}>()("agent-job/server/StateLocks") {
  static readonly layer = Layer.effect(StateLocks, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const workspaces = yield* Workspaces

  /** Fails for a stage that gets no lock any more: one that is over, or whose lock was broken. */
  const mayLock = Effect.fnUntraced(function*(stage: string) {
    const isOver = yield* isAny(sql`SELECT id FROM stages WHERE id = ${stage} AND endedAt IS NOT NULL`)
    if (isOver) return yield* unauthorized() // the stage ended while its request came, and nobody would open the lock
    const forced = yield* row(ForcedUnlock)(sql`SELECT * FROM forcedUnlocks WHERE holder = ${stage} LIMIT 1`)
    if (forced !== undefined) {
      return yield* conflict(
        "fenced",
        `The lock of this stage was opened by force (${forced.forcedBy}), so it gets none any more; start a new run.`
      )
    }
  })

  const lock = Effect.fn("StateLocks.lock")(function*(workspaceId: string, info: LockInfo, by: By) {
    if (harmless(info.ID) !== info.ID) {
      return yield* invalid("The ID of a lock may have no control characters; lock the state with another one.")
    }
    const workspace = yield* workspaces.get(workspaceId)
    if ("stage" in by) yield* mayLock(by.stage)
    const holder = holderOf(by)
    if (workspace.lockInfo !== null) {
      return yield* workspace.lockInfo.ID === info.ID && workspace.lockHolder === holder
        ? Effect.succeed(workspace.epoch)
        : locked(workspace)
    }
    yield* sql`UPDATE workspaces SET epoch = epoch + 1, lockInfo = ${
      JSON.stringify(info, (_, value: unknown) => typeof value === "string" ? harmless(value) : value)
    }, lockHolder = ${holder} WHERE id = ${workspaceId}`
    return workspace.epoch + 1
  }, sql.withTransaction)

  const lockNamed = (name: WorkspaceName, info: LockInfo, by: By) =>
    sql.withTransaction(Effect.flatMap(workspaces.ensure(name), ({ id }) => lock(id, info, by)))

  const open = (workspaceId: string) =>
    Effect.asVoid(sql`UPDATE workspaces SET lockInfo = NULL, lockHolder = NULL WHERE id = ${workspaceId}`)

  /**
   * Opens the lock and fences its holder: what the holder writes from then on is refused, a stage's state is kept as evidence, and a stage
   * gets no other lock.
   */
  const breakLock = Effect.fnUntraced(function*({ epoch, id, lockHolder, lockInfo }: Workspace, forcedBy: string) {
    yield* sql`INSERT INTO forcedUnlocks ${
      sql.insert({ workspaceId: id, holder: lockHolder, lockInfo: JSON.stringify(lockInfo), epoch, forcedBy, forcedAt: yield* now })
    }`
    yield* sql`UPDATE workspaces SET epoch = epoch + 1 WHERE id = ${id}`
    yield* open(id)
    yield* endsAs("by force")
    if (lockHolder !== null && lockHolder !== person) yield* actsOn(lockHolder) // so that the trail of its run has it
  })

  const unlock = Effect.fn("StateLocks.unlock")(function*(workspaceId: string, lockId: string, by: By) {
    const workspace = yield* workspaces.get(workspaceId)
    if (workspace.lockInfo === null) return
    if (workspace.lockInfo.ID !== lockId) return yield* locked(workspace)
    if (workspace.lockHolder === holderOf(by)) return yield* open(workspaceId)
    yield* "stage" in by ? locked(workspace) : breakLock(workspace, by.person)
  }, sql.withTransaction)

  const forceUnlock = Effect.fn("StateLocks.forceUnlock")(function*(workspaceId: string, lockId: string, forcedBy: string) {
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
  }, sql.withTransaction)

  const heldBy = Effect.fnUntraced(function*(writer: Writer | undefined, lockId: string | undefined, workspaceId: string) {
    const workspace = yield* workspaces.get(workspaceId)
    const { epoch, lockHolder, lockInfo, name } = workspace
    if (lockInfo === null) return yield* conflict("not-locked", `The state of ${name} is not locked; lock it before writing.`)
    const isOwn = writer === undefined ? lockHolder === person : writer.holder === lockHolder && Option.contains(writer.epoch, epoch)
    return lockInfo.ID === lockId && isOwn ? workspace : yield* locked(workspace)
  })

  const heldByNobody = Effect.fnUntraced(function*(workspaceId: string) {
    const workspace = yield* workspaces.get(workspaceId)
    return workspace.lockInfo === null ? workspace : yield* locked(workspace)
  })

  const standing = Effect.fn("StateLocks.standing")(function*(holder: string) {
    const isHeld = yield* isAny(sql`SELECT id FROM workspaces WHERE lockHolder = ${holder}`)
    const isBroken = yield* isAny(sql`SELECT seq FROM forcedUnlocks WHERE holder = ${holder}`)
    const refusedState = yield* isAny(sql`SELECT id FROM evidence WHERE stageId = ${holder} AND decided = 0`)
    return { lock: isHeld ? "held" : isBroken ? "broken" : "none", refusedState } as const
  })

  return StateLocks.of({
    lock,
    lockNamed,
    unlock,
    forceUnlock,
    forcedUnlocks: (workspaceId, limit) =>
      rows(ForcedUnlock)(sql`SELECT * FROM forcedUnlocks WHERE workspaceId = ${workspaceId} ORDER BY seq DESC LIMIT ${limit}`),
    heldBy,
    heldByNobody,
    standing,
    release: (holder) => Effect.asVoid(sql`UPDATE workspaces SET lockInfo = NULL, lockHolder = NULL WHERE lockHolder = ${holder}`)
  })
})
