// What people do about a state: look at it, settle what left it in doubt, open its lock by force.
// Invariant: a refused state becomes the next version only while its stage is in doubt, in the stored one's line; what is settled, and by whom, is one transaction with it.
// Used by the workspace routes.
import { Context, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { withSerial } from "../core/next-serial.ts"
import type { StateView } from "../schema/state.ts"
import { Effects } from "./effects.ts"
import { Evidence } from "./evidence.ts"
import { conflict, invalid, orNotFound } from "./refused.ts"
import { nothingPending, type Rescue, Rescues } from "./rescues.ts"
import { Stages } from "./stages.ts"
import { excessOf, StateVersions } from "./state-versions.ts"
import { type Workspace, Workspaces } from "./workspaces.ts"

const shownAtMost = 20

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const effects = yield* Effects
  const evidence = yield* Evidence
  const rescues = yield* Rescues
  const stages = yield* Stages
  const states = yield* StateVersions
  const workspaces = yield* Workspaces

  const kept = (workspaceId: string, id: string) => Effect.flatMap(evidence.find(workspaceId, id), orNotFound)

  const lockOf = Effect.fnUntraced(function*({ lockHolder, lockInfo }: Workspace) {
    if (lockInfo === null) return undefined
    const { Created, ID, Operation, Who } = lockInfo
    const stage = lockHolder === null ? undefined : yield* stages.find(lockHolder)
    return {
      id: ID,
      ...(Who !== undefined && { who: Who }),
      ...(Operation !== undefined && { operation: Operation }),
      ...(Created !== undefined && { created: Created }),
      ...(stage !== undefined && { stage: stage.id, ...(stage.agent !== null && { agent: stage.agent }), ...(stage.taskUid !== null && { taskUid: stage.taskUid }) })
    }
  })

  const versionOf = Effect.fnUntraced(function*(workspaceId: string) {
    const version = yield* states.current(workspaceId)
    if (version === undefined) return undefined
    const { createdAt, id, lineage, runId, serial, sha256, sizeBytes } = version
    return { id, serial, lineage, sha256, sizeBytes, ...(runId !== null && { runId }), createdAt }
  })

  const rescuesOf = (workspaceId: string) =>
    Effect.flatMap(rescues.list(workspaceId), Effect.forEach(Effect.fnUntraced(function*(rescue) {
      const { how, id, message, openedAt, reason, settledAt, settledBy, stageId } = rescue
      const left = settledAt === null ? yield* effects.missingFor(rescue) : undefined
      return {
        id, stage: stageId, reason, message, openedAt,
        ...(left !== undefined && { effects: left }),
        ...(settledAt !== null && { settledAt }), ...(settledBy !== null && { settledBy }), ...(how !== null && { how })
      }
    })))

  const view = Effect.fn("StateRescue.view")(function*(name: string): Effect.fn.Return<StateView, Effect.Error<ReturnType<typeof workspaces.named>>> {
    const workspace = yield* workspaces.named(name)
    const [version, lock, all] = [yield* versionOf(workspace.id), yield* lockOf(workspace), yield* rescuesOf(workspace.id)]
    return {
      workspace: workspace.name,
      ...(version !== undefined && { version }),
      epoch: workspace.epoch,
      ...(lock !== undefined && { lock }),
      pending: all.filter(({ settledAt }) => settledAt === undefined),
      settled: all.filter(({ settledAt }) => settledAt !== undefined).slice(0, shownAtMost),
      evidence: (yield* evidence.list(workspace.id)).map(({ id, lineage, receivedAt, serial, sha256, sizeBytes, stageId, why }) => ({ id, stage: stageId, serial, lineage, sha256, sizeBytes, why, receivedAt })),
      forcedUnlocks: (yield* states.forcedUnlocks(workspace.id, shownAtMost)).map(({ lockInfo, ...forced }) => ({ lockId: lockInfo.ID, ...forced }))
    }
  })

  /** The bytes of a refused state. */
  const read = Effect.fn("StateRescue.read")(function*(name: string, id: string) {
    return yield* evidence.read(yield* kept((yield* workspaces.named(name)).id, id))
  })

  /** A refused state of a stage that is in doubt, as it may follow the stored one. */
  const following = Effect.fnUntraced(function*({ id: workspaceId, name }: Workspace, pending: ReadonlyArray<Rescue>, id: string) {
    const state = yield* kept(workspaceId, id)
    if (!pending.some(({ stageId }) => stageId === state.stageId)) {
      return yield* conflict("not-in-doubt", `The state ${id} is of ${state.stageId}, of which nothing waits to be settled, so newer ones may have been stored since; see what waits with: agent-job state rescue ${name}`)
    }
    const { runId } = yield* stages.get(state.stageId)
    const bytes = yield* evidence.read(state)
    const excess = excessOf(bytes)
    if (excess !== undefined) return yield* excess
    const before = yield* states.current(workspaceId)
    if (before === undefined || state.serial > before.serial) return { bytes, runId, serial: state.serial }
    const serial = before.serial + 1
    const text = withSerial(new TextDecoder().decode(bytes), serial)
    if (Option.isNone(text)) return yield* invalid(`The state ${id} is not written as the engines write one, so its serial cannot be raised; push it by hand under a lock, then settle with --keep.`)
    return { bytes: new TextEncoder().encode(text.value), runId, serial }
  })

  /** Everything that is pending, with the refused state `use` as the next version, or with the stored one as it is. */
  const settle = Effect.fn("StateRescue.settle")(function*(name: string, by: string, use: string | undefined) {
    const workspace = yield* workspaces.named(name)
    const { id } = workspace
    const pending = yield* rescues.pending(id)
    if (pending.length === 0) return yield* nothingPending(name)
    const done = (how: string) => Effect.forEach(pending, (rescue) => rescues.settle(rescue.id, by, how), { discard: true })
    if (use === undefined) return yield* sql.withTransaction(done("the stored state is kept"))
    const { bytes, runId, serial } = yield* following(workspace, pending, use)
    yield* states.adopt(id, bytes, runId, done(`${use} is the state now, with the serial ${serial}`))
  })

  /** Where there is no lock, nothing is to be done. */
  const unlock = Effect.fn("StateRescue.unlock")(function*(name: string, by: string) {
    yield* states.forceUnlock((yield* workspaces.named(name)).id, by)
  })

  return { view, read, settle, unlock }
})

export class StateRescue extends Context.Service<StateRescue>()("agent-job/server/StateRescue", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
