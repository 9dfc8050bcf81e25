// States of workspaces: every accepted body is a version, taken only under the current lock.
// Invariants: each lock raises the workspace's epoch; the lineage stays; the serial never falls; what was answered is on disk.
// Used by the task API (workers), the state API (people) and the TFE routes (outputs).
import { Context, Effect, Layer, Result, Schema, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { isDeeperThan } from "../core/json-depth.ts"
import { RunId, Sha256, Timestamp } from "../schema/names.ts"
import type { LockInfo } from "../schema/task-api.ts"
import { Blobs } from "./blobs.ts"
import { row } from "./database.ts"
import { newId } from "./ids.ts"
import { conflict, invalid, Refused, unauthorized } from "./refused.ts"
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

const Output = Schema.Struct({ value: Schema.Unknown, type: Schema.optionalKey(Schema.Unknown), sensitive: Schema.optionalKey(Schema.Boolean) })

/** What is read of a state; the rest is the engine's. */
export const State = Schema.Struct({
  serial: Schema.Int,
  lineage: Schema.String,
  outputs: Schema.optionalKey(Schema.Record(Schema.String, Output))
})
export type State = typeof State.Type

/** Bytes of a state, at most; it is held in memory once. */
export const stateLimitBytes = 64 * 1024 * 1024

interface NewState {
  readonly bytes: Uint8Array
  readonly sha256: string | undefined
  readonly lockId: string | undefined
  /** Who writes: for a stage the lock must be its own and of this epoch. Stock clients know no epoch; the id of a lock is never given twice. */
  readonly by: { readonly holder: string; readonly epoch: number; readonly runId: RunId } | undefined
}

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(State))

/** Levels of nesting in a state: an output is printed again, which calls itself for each level. */
const deepestState = 500

const parse = (bytes: Uint8Array) =>
  isDeeperThan(deepestState, bytes) ? Effect.fail(invalid(`The state is nested more than ${deepestState} levels deep.`)) : Result.match(decode(new TextDecoder().decode(bytes)), {
    onFailure: () => Effect.fail(invalid("The body is not a state: JSON with a serial and a lineage is expected.")),
    onSuccess: (state) => Effect.succeed(state)
  })

const locked = ({ lockInfo, name }: Workspace) =>
  conflict("locked", `The state of ${name} is locked by ${lockInfo?.Who ?? "somebody"} (${lockInfo?.ID ?? "?"}); wait, or unlock it.`, lockInfo ?? {})

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const blobs = yield* Blobs
  const workspaces = yield* Workspaces

  const find = (id: string) => row(StateVersion)(sql`SELECT * FROM stateVersions WHERE id = ${id}`)
  const current = (workspaceId: string) =>
    row(StateVersion)(sql`SELECT stateVersions.* FROM stateVersions JOIN workspaces ON workspaces.stateVersionId = stateVersions.id WHERE workspaces.id = ${workspaceId}`)
  const read = (version: StateVersion) => blobs.read(version.sha256)

  /** Gives the epoch. Who has the lock gets it again with the same id, since the answer may have been lost. */
  const lock = Effect.fn("StateVersions.lock")((workspaceId: string, info: LockInfo, holder: string) =>
    sql.withTransaction(Effect.gen(function*() {
      const workspace = yield* workspaces.get(workspaceId)
      const over = yield* sql`SELECT id FROM stages WHERE id = ${holder} AND endedAt IS NOT NULL`
      if (over.length > 0) return yield* unauthorized() // it ended while its request came, and nobody would open the lock
      if (workspace.lockInfo !== null) {
        return yield* workspace.lockInfo.ID === info.ID && workspace.lockHolder === holder ? Effect.succeed(workspace.epoch) : locked(workspace)
      }
      yield* sql`UPDATE workspaces SET epoch = epoch + 1, lockInfo = ${JSON.stringify(info)}, lockHolder = ${holder} WHERE id = ${workspaceId}`
      return workspace.epoch + 1
    })))

  /** A lock that is gone already is success, another one is refused; a stage (`holder`) opens only its own. */
  const unlock = Effect.fn("StateVersions.unlock")((workspaceId: string, lockId: string, holder?: string) =>
    sql.withTransaction(Effect.gen(function*() {
      const workspace = yield* workspaces.get(workspaceId)
      if (workspace.lockInfo === null) return
      if (workspace.lockInfo.ID !== lockId || (holder ?? workspace.lockHolder) !== workspace.lockHolder) return yield* locked(workspace)
      yield* sql`UPDATE workspaces SET lockInfo = NULL, lockHolder = NULL WHERE id = ${workspaceId}`
    })))

  /** How a stage stands to the state of its workspace, for as long as `release` was not called. */
  const standing = Effect.fn("StateVersions.standing")(function*(holder: string) {
    const held = yield* sql`SELECT id FROM workspaces WHERE lockHolder = ${holder}`
    const forced = yield* sql`SELECT seq FROM forcedUnlocks WHERE holder = ${holder}`
    const refused = yield* sql`SELECT id FROM evidence WHERE stageId = ${holder}`
    return { lock: held.length > 0 ? "held" : forced.length > 0 ? "forced" : "none", refusedState: refused.length > 0 } as const
  })

  /** Frees what a stage held when it ended: its token is over, so nothing of it can come any more. */
  const release = (holder: string) => Effect.asVoid(sql`UPDATE workspaces SET lockInfo = NULL, lockHolder = NULL WHERE lockHolder = ${holder}`)

  const insert = Effect.fnUntraced(function*(workspace: Workspace, version: Omit<StateVersion, "id" | "createdAt" | "workspaceId">) {
    const id = yield* newId("sv")
    const made = { ...version, id, workspaceId: workspace.id, epoch: workspace.epoch, createdAt: yield* now }
    yield* sql`INSERT INTO stateVersions (id, seq, workspaceId, runId, serial, lineage, sha256, sizeBytes, epoch, createdAt)
      SELECT ${made.id}, COALESCE(MAX(seq), 0) + 1, ${made.workspaceId}, ${made.runId}, ${made.serial}, ${made.lineage}, ${made.sha256}, ${made.sizeBytes}, ${made.epoch}, ${made.createdAt}
      FROM stateVersions`
    yield* sql`UPDATE workspaces SET stateVersionId = ${id} WHERE id = ${workspace.id}`
  })

  /** Stores a state as the workspace's next version; the same body under the same serial is success and no new version. */
  const accept = Effect.fn("StateVersions.accept")(function*(workspaceId: string, { by, bytes, lockId, sha256 }: NewState) {
    const { lineage, serial } = yield* parse(bytes)
    const blob = yield* blobs.put(Stream.succeed(bytes), { limitBytes: stateLimitBytes, expected: sha256 })
    yield* sql.withTransaction(Effect.gen(function*() {
      const workspace = yield* workspaces.get(workspaceId)
      if (workspace.lockInfo === null) return yield* conflict("not-locked", `The state of ${workspace.name} is not locked; lock it before writing.`)
      const isOwn = by === undefined || (by.holder === workspace.lockHolder && by.epoch === workspace.epoch)
      if (workspace.lockInfo.ID !== lockId || !isOwn) return yield* locked(workspace)
      const before = yield* current(workspaceId)
      if (before !== undefined) {
        if (before.serial === serial && before.sha256 === blob.sha256) return
        yield* Effect.fromResult(mayFollow(before, { lineage, serial }))
      }
      yield* insert(workspace, { ...blob, lineage, serial, runId: by?.runId ?? null })
    }))
  })

  return { find, current, read, lock, unlock, standing, release, accept }
})

const mayFollow = (before: StateVersion, next: { readonly lineage: string; readonly serial: number }): Result.Result<void, Refused> => {
  if (before.lineage !== next.lineage) {
    return Result.fail(conflict("other-lineage", `The state has the lineage ${next.lineage}, the workspace's has ${before.lineage}: they are of different origin.`))
  }
  return next.serial > before.serial
    ? Result.succeed(undefined)
    : Result.fail(conflict("old-serial", `The state has the serial ${next.serial}, the workspace's is at ${before.serial} with other content; read it again first.`))
}

export class StateVersions extends Context.Service<StateVersions>()("agent-job/server/StateVersions", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
