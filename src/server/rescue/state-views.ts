// What a person is shown of a workspace's state: the stored version, its lock, what is in doubt, and what was refused.
// Invariant: it changes nothing; what a stage made and the state lacks is shown with its pending rescue alone.
// Used by server/routes/workspace-state-routes.
import { Context, Effect, Layer } from "effect"
import type { LeftOver } from "../../schema/api/effects.ts"
import type { StateView } from "../../schema/api/state.ts"
import type { LockInfo } from "../../schema/api/task-api.ts"
import type { Caller } from "../access/tokens.ts"
import type { StoreFailure } from "../refused.ts"
import { Journals } from "../run/journals.ts"
import { LeftOvers } from "../run/left-overs.ts"
import { type StageRow, Stages } from "../run/stages.ts"
import { Evidence, type EvidenceRow } from "../workspace/evidence.ts"
import { type Rescue, Rescues } from "../workspace/rescues.ts"
import { StateLocks } from "../workspace/state-locks.ts"
import { type StateVersion, StateVersions } from "../workspace/state-versions.ts"
import { Workspaces } from "../workspace/workspaces.ts"

/** How many settled rescues and forced unlocks are shown, the newest of each. */
const shownAtMost = 20

const versionView = ({ createdAt, id, lineage, runId, serial, sha256, sizeBytes }: StateVersion) => ({
  id,
  serial,
  lineage,
  sha256,
  sizeBytes,
  ...(runId !== null && { runId }),
  createdAt
})

/** `stage` is the holder; undefined where a person holds the lock. */
const lockView = ({ Created, ID, Operation, Who }: LockInfo, stage: StageRow | undefined) => ({
  id: ID,
  ...(Who !== undefined && { who: Who }),
  ...(Operation !== undefined && { operation: Operation }),
  ...(Created !== undefined && { created: Created }),
  ...(stage !== undefined &&
    { stage: stage.id, ...(stage.agent !== null && { agent: stage.agent }), ...(stage.taskUid !== null && { taskUid: stage.taskUid }) })
})

const rescueView = ({ how, id, message, openedAt, reason, settledAt, settledBy, stageId }: Rescue) => ({
  id,
  stage: stageId,
  reason,
  message,
  openedAt,
  ...(settledAt !== null && { settledAt }),
  ...(settledBy !== null && { settledBy }),
  ...(how !== null && { how })
})

/** `missing` is what the stage has made and the state lacks, as its journal tells up to the entry with the number `journal` at least. */
const pendingView = (rescue: Rescue, journal: number, missing: LeftOver | undefined) => ({
  ...rescueView(rescue),
  journal,
  ...(missing !== undefined && { effects: missing })
})

const evidenceView = ({ id, lineage, receivedAt, serial, sha256, sizeBytes, stageId, storedVersionId, why }: EvidenceRow) => ({
  id,
  stage: stageId,
  serial,
  lineage,
  sha256,
  sizeBytes,
  why,
  receivedAt,
  ...(storedVersionId !== null && { storedVersion: storedVersionId })
})

export class StateViews extends Context.Service<StateViews, {
  /**
   * Returns what there is of a workspace's state. Fails with 404 if there is no such workspace, and with 503 where there is no room to look
   * for what its stages have made and the state lacks.
   */
  readonly view: (name: string, asker: Caller) => Effect.Effect<StateView, StoreFailure>
  /**
   * Returns the same view after a decision. Where there is no room to look for what is missing, the view leaves it out, so that the
   * decision is told all the same.
   */
  readonly viewAfter: (name: string, asker: Caller) => Effect.Effect<StateView, StoreFailure>
}>()("agent-job/server/StateViews") {
  static readonly layer = Layer.effect(StateViews, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const journals = yield* Journals
  const leftOvers = yield* LeftOvers
  const evidence = yield* Evidence
  const locks = yield* StateLocks
  const rescues = yield* Rescues
  const stages = yield* Stages
  const states = yield* StateVersions
  const workspaces = yield* Workspaces

  const viewWith = Effect.fnUntraced(
    function*(look: typeof leftOvers.look, name: string, asker: Caller): Effect.fn.Return<StateView, StoreFailure> {
      const { epoch, id: workspaceId, lockHolder, lockInfo, name: workspace } = yield* workspaces.named(name)
      const version = yield* states.current(workspaceId)
      const holder = lockHolder === null ? undefined : yield* stages.find(lockHolder)
      const pending = (yield* rescues.pending(workspaceId)).toReversed()
      const settled = yield* rescues.settled(workspaceId, shownAtMost)
      const ends = yield* Effect.forEach(pending, ({ stageId }) => journals.end(stageId)) // first: nobody has seen what comes meanwhile
      const missing = yield* look(asker, workspaceId, pending)
      return {
        workspace,
        ...(version !== undefined && { version: versionView(version) }),
        epoch,
        ...(lockInfo !== null && { lock: lockView(lockInfo, holder) }),
        pending: pending.map((rescue, at) => pendingView(rescue, ends[at] ?? 0, missing.get(rescue.stageId))),
        settled: settled.map(rescueView),
        evidence: (yield* evidence.list(workspaceId)).map(evidenceView),
        forcedUnlocks: (yield* locks.forcedUnlocks(workspaceId, shownAtMost)).map(({ lockInfo, ...forced }) => ({
          lockId: lockInfo.ID,
          ...forced
        }))
      }
    }
  )

  return StateViews.of({
    view: Effect.fn("StateViews.view")((...asked) => viewWith(leftOvers.look, ...asked)),
    viewAfter: Effect.fn("StateViews.viewAfter")((...asked) =>
      viewWith((...of) => Effect.catchTag(leftOvers.look(...of), "Refused", () => Effect.succeed(new Map<string, never>())), ...asked)
    )
  })
})
