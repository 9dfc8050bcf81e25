// What a stage does with the state of its workspace, once its token is known: reads, writes, locks.
// Invariant: a stage that is over stores no version any more; where its end left the state in doubt, a late state is kept as evidence.
// Used by the task API.
import { Context, Effect, Layer, type Option } from "effect"
import type { SqlError } from "effect/sql"
import type { LockInfo } from "../../schema/api/task-api.ts"
import { conflict, Refused, type StoreFailure } from "../refused.ts"
import { fateDetails, fateSentence } from "../workspace/refused-states.ts"
import { Rescues } from "../workspace/rescues.ts"
import { StateLocks } from "../workspace/state-locks.ts"
import { type StateVersion, StateVersions } from "../workspace/state-versions.ts"
import { Runs } from "./runs.ts"
import type { StageRow } from "./stages.ts"

interface Pushed {
  readonly bytes: Uint8Array
  /** The SHA-256 that the worker claims. */
  readonly sha256: string | undefined
  readonly lockId: string | undefined
  /** The epoch of the lock that the worker says it has. */
  readonly epoch: Option.Option<number>
}

const noState = new Refused({ status: 404, error: "no-state", message: "The workspace has no state yet." })

export class StageStates extends Context.Service<StageStates, {
  /** Reports whether the stage may still send a state: until its end, and after that if it has a rescue. */
  readonly mayPush: (stage: StageRow) => Effect.Effect<boolean, SqlError.SqlError>
  /** Returns the current state of the stage's workspace; fails with 404 `no-state` before the first. */
  readonly current: (stage: StageRow) => Effect.Effect<StateVersion, StoreFailure>
  /**
   * Stores a state as the workspace's next version; fails as `StateVersions.accept`. The state of a stage that is over becomes evidence, and
   * the push fails with 409 `stage-over`, unless that state is stored already.
   */
  readonly push: (stage: StageRow, state: Pushed) => Effect.Effect<void, StoreFailure>
  /** Locks the state and returns the epoch; fails as `StateLocks.lock`. */
  readonly lock: (stage: StageRow, info: LockInfo) => Effect.Effect<number, StoreFailure>
  /** Opens the stage's own lock; fails as `StateLocks.unlock`. */
  readonly unlock: (stage: StageRow, info: LockInfo) => Effect.Effect<void, StoreFailure>
}>()("agent-job/server/StageStates") {
  static readonly layer = Layer.effect(StageStates, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const locks = yield* StateLocks
  const rescues = yield* Rescues
  const runs = yield* Runs
  const states = yield* StateVersions

  const workspaceOf = ({ runId }: StageRow) => Effect.map(runs.get(runId), ({ workspaceId }) => workspaceId)

  const mayPush = ({ endedAt, id }: StageRow) =>
    endedAt === null ? Effect.succeed(true) : Effect.map(rescues.ofStage(id), (rescue) => rescue !== undefined)

  const current = Effect.fn("StageStates.current")(function*(stage: StageRow) {
    const version = yield* states.current(yield* workspaceOf(stage))
    if (version === undefined) return yield* noState
    return version
  })

  const push = Effect.fn("StageStates.push")(function*(stage: StageRow, { bytes, epoch, lockId, sha256 }: Pushed) {
    const workspaceId = yield* workspaceOf(stage)
    if (stage.endedAt === null) {
      return yield* states.accept(workspaceId, { bytes, sha256, lockId, by: { holder: stage.id, epoch, runId: stage.runId } })
    }
    const why = `The stage ${stage.id} is over, so its state is not stored.`
    const fate = yield* states.keepAsEvidence(stage.id, workspaceId, { bytes, sha256, why })
    if (fate._tag !== "Stored") return yield* conflict("stage-over", `${why} ${fateSentence(fate)}`, fateDetails(fate))
  })

  const lock = (stage: StageRow, info: LockInfo) =>
    Effect.flatMap(workspaceOf(stage), (workspaceId) => locks.lock(workspaceId, info, { stage: stage.id }))
  const unlock = (stage: StageRow, { ID }: LockInfo) =>
    Effect.flatMap(workspaceOf(stage), (workspaceId) => locks.unlock(workspaceId, ID, { stage: stage.id }))

  return StageStates.of({ mayPush, current, push, lock, unlock })
})
