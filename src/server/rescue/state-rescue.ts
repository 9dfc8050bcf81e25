// What people do about a state: look at it, settle what left it in doubt, open its lock by force, bring another one.
// Invariant: a refused state becomes the next version only in the transaction that settles its stage's doubt, and in the stored lineage.
// Used by the workspace routes.
import { Context, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { isFinal, RunEvent } from "../../core/run/run-machine.ts"
import { rescueAdvice } from "../../core/run/state-doubt.ts"
import { withHeadSerial } from "../../core/state/state-head.ts"
import { isEncrypted } from "../../core/state/state-objects.ts"
import type { SettleRescue, StateView } from "../../schema/api/state.ts"
import type { WorkspaceName } from "../../schema/names.ts"
import { Bodies } from "../access/bodies.ts"
import { conflict, invalid, orNotFound } from "../refused.ts"
import { LeftOvers } from "../run/left-overs.ts"
import { Runs } from "../run/runs.ts"
import { Stages } from "../run/stages.ts"
import { Evidence, type EvidenceRow } from "../workspace/evidence.ts"
import { nothingPending, type Rescue, Rescues } from "../workspace/rescues.ts"
import { excessOf, Heap } from "../workspace/state-body.ts"
import { StateLocks } from "../workspace/state-locks.ts"
import { StateVersions } from "../workspace/state-versions.ts"
import { type Workspace, Workspaces } from "../workspace/workspaces.ts"

const shownAtMost = 20

/** The refusal of evidence that is no state: of a stage's state only the head was read when it was kept. */
const noState = (id: string, name: string) =>
  invalid(
    `The state ${id} is not JSON as the engines write it, so it cannot be the state of ${name} and nothing was settled; look at it with: agent-job state show ${name} --evidence ${id}`
  )

/** What the person who decides saw when they looked. */
type Seen = Pick<SettleRescue, "pending" | "evidence" | "version">

/** Who decides: the name of the token, as the audit trail has it, and what is shown of them beside the decision. */
interface Decider {
  readonly name: string
  readonly shown: string
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const bodies = yield* Bodies
  const leftOvers = yield* LeftOvers
  const evidence = yield* Evidence
  const heapBytes = yield* Heap
  const locks = yield* StateLocks
  const rescues = yield* Rescues
  const runs = yield* Runs
  const stages = yield* Stages
  const states = yield* StateVersions
  const workspaces = yield* Workspaces

  type Look = typeof leftOvers.look

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
      ...(stage !== undefined &&
        { stage: stage.id, ...(stage.agent !== null && { agent: stage.agent }), ...(stage.taskUid !== null && { taskUid: stage.taskUid }) })
    }
  })

  const versionOf = Effect.fnUntraced(function*(workspaceId: string) {
    const version = yield* states.current(workspaceId)
    if (version === undefined) return undefined
    const { createdAt, id, lineage, runId, serial, sha256, sizeBytes } = version
    return { id, serial, lineage, sha256, sizeBytes, ...(runId !== null && { runId }), createdAt }
  })

  const rescuesOf = Effect.fnUntraced(function*(workspaceId: string, look: Look) {
    const pending = (yield* rescues.pending(workspaceId)).toReversed()
    const settled = yield* rescues.settled(workspaceId, shownAtMost)
    const left = yield* look(workspaceId, pending)
    const view = ({ how, id, message, openedAt, reason, settledAt, settledBy, stageId }: Rescue) => {
      const missing = left.get(stageId)
      return {
        id,
        stage: stageId,
        reason,
        message,
        openedAt,
        ...(settledAt === null && missing !== undefined && { effects: missing }),
        ...(settledAt !== null && { settledAt }),
        ...(settledBy !== null && { settledBy }),
        ...(how !== null && { how })
      }
    }
    return { pending: pending.map(view), settled: settled.map(view) }
  })

  const viewWith = Effect.fnUntraced(
    function*(look: Look, name: string): Effect.fn.Return<StateView, Effect.Error<ReturnType<typeof workspaces.named>>> {
      const workspace = yield* workspaces.named(name)
      const version = yield* versionOf(workspace.id)
      const lock = yield* lockOf(workspace)
      return {
        workspace: workspace.name,
        ...(version !== undefined && { version }),
        epoch: workspace.epoch,
        ...(lock !== undefined && { lock }),
        ...(yield* rescuesOf(workspace.id, look)),
        evidence: (yield* evidence.list(workspace.id)).map((
          { id, lineage, receivedAt, serial, sha256, sizeBytes, stageId, storedVersionId, why }
        ) => ({
          id,
          stage: stageId,
          serial,
          lineage,
          sha256,
          sizeBytes,
          why,
          receivedAt,
          ...(storedVersionId !== null && { storedVersion: storedVersionId })
        })),
        forcedUnlocks: (yield* locks.forcedUnlocks(workspace.id, shownAtMost)).map(({ lockInfo, ...forced }) => ({
          lockId: lockInfo.ID,
          ...forced
        }))
      }
    }
  )

  const view = Effect.fn("StateRescue.view")((name: string) => viewWith(leftOvers.look, name))

  /**
   * Returns the same view after a decision. Where there is no room to look for what is missing, the view leaves it out, so that the
   * decision is told all the same.
   */
  const viewAfter = Effect.fn("StateRescue.viewAfter")((name: string) =>
    viewWith((...of) => Effect.catchTag(leftOvers.look(...of), "Refused", () => Effect.succeed(new Map<string, never>())), name)
  )

  const refused = Effect.fn("StateRescue.refused")(function*(name: string, id: string) {
    return yield* kept((yield* workspaces.named(name)).id, id)
  })

  /**
   * Returns the pending rescues, if they, the evidence and the stored state are what the person who decides saw: a run that began before
   * the doubt came may have stored newer ones. Otherwise fails with 409 `changed`.
   */
  const asSeen = Effect.fnUntraced(function*({ id: workspaceId, name }: Workspace, seen: Seen) {
    const pending = yield* rescues.pending(workspaceId)
    const refused = yield* evidence.list(workspaceId)
    const stored = yield* states.current(workspaceId)
    if (pending.length === 0) return yield* nothingPending(name)
    const newest = refused.findIndex(({ id }) => id === seen.evidence)
    const changes = [
      ...pending.filter(({ id }) => !seen.pending.includes(id)).map(({ stageId }) => `what ${stageId} left in doubt is new`),
      ...refused.slice(0, newest === -1 ? undefined : newest).map(({ id, stageId }) => `the state ${id} of ${stageId} is new`),
      ...seen.pending.filter((id) => pending.every((one) => one.id !== id)).map((id) => `${id} is settled`),
      ...(stored?.id === seen.version
        ? []
        : [
          stored === undefined ? "the stored state is gone" : `the stored state is another, ${stored.id} with the serial ${stored.serial}`
        ])
    ]
    if (changes.length > 0) {
      return yield* conflict(
        "changed",
        `Since you looked at ${name}, ${changes.join(", ")}, so nothing was settled now; look again with: agent-job state rescue ${name}`
      )
    }
    return pending
  })

  /** Returns a refused state of a stage in doubt as it may follow the stored one: with its serial raised where it is not higher. */
  const following = Effect.fnUntraced(function*({ id: workspaceId, name }: Workspace, pending: ReadonlyArray<Rescue>, state: EvidenceRow) {
    const { id, serial, stageId } = state
    if (!pending.some((rescue) => rescue.stageId === stageId)) {
      return yield* conflict(
        "not-in-doubt",
        `The state ${id} is of ${stageId}, which has nothing in doubt now, so newer states may have been stored since; see what is still in doubt with: agent-job state rescue ${name}`
      )
    }
    const { runId } = yield* stages.get(stageId)
    const bytes = yield* evidence.read(state)
    const excess = excessOf(heapBytes, bytes)
    if (excess !== undefined) return yield* excess
    const before = yield* states.current(workspaceId)
    if (before === undefined || serial > before.serial) return { bytes, runId, serial, stageId }
    const raised = before.serial + 1
    if (isEncrypted(new TextDecoder().decode(bytes))) { // the serial is encrypted too, and the engine compares both
      return yield* invalid(
        `The engine encrypted the state ${id} with its serial, so that cannot be raised; where its key is, write it to terraform.tfstate (agent-job state show ${name} --evidence ${id}), decrypt it (tofu state pull), set its serial to ${raised}, push that encrypted and under a lock, then settle with --keep (docs/state.md, "A refused state that OpenTofu encrypted").`
      )
    }
    const next = withHeadSerial(bytes, raised) // `adopt` checks that it is a state and has no other serial
    if (Option.isNone(next)) {
      return yield* invalid(
        `The state ${id} is not written as the engines write one, so its serial cannot be raised; push it by hand under a lock, then settle with --keep.`
      )
    }
    return { bytes: next.value, runId, serial: raised, stageId }
  })

  /**
   * Cancels the imports for a rescue that is being settled, which nobody wants any more. Fails with 409 `import-runs` if one is applying:
   * it may be at work, and no other apply may begin beside it.
   */
  const endImports = Effect.fnUntraced(function*({ id, stageId }: Rescue, stoppedBy: string) {
    const open = (yield* runs.ofRescue(id)).filter(({ status }) => !isFinal(status))
    const applying = open.find(({ status }) => status === "applying")
    if (applying !== undefined) {
      return yield* conflict(
        "import-runs",
        `The run ${applying.id} applies what it imports for ${stageId}, so nothing was settled; wait for its end, or stop it with: agent-job cancel ${applying.id}`
      )
    }
    yield* Effect.forEach(open, (run) => runs.step(run.id, RunEvent.Cancel(), { stoppedBy }), { discard: true })
  })

  /**
   * Settles everything that is pending, with the stored state as it is; or, with `use`, what one stage left, with its refused state `use`
   * as the next version.
   */
  const settle = Effect.fn("StateRescue.settle")(function*(name: string, by: Decider, { use, ...seen }: Seen & Pick<SettleRescue, "use">) {
    const workspace = yield* workspaces.named(name)
    /** Settles the pending rescues that `isMeant` selects. `state` is what is stored from then on. */
    const settled = Effect.fnUntraced(
      function*<E>(how: string, state: Effect.Effect<Uint8Array, E>, isMeant: (rescue: Rescue) => boolean) {
        const meant = (yield* asSeen(workspace, seen)).filter(isMeant)
        yield* leftOvers.storeSettled(state, meant)
        yield* Effect.forEach(meant, (rescue) => Effect.andThen(endImports(rescue, by.name), rescues.settle(rescue.id, by.shown, how)), {
          discard: true
        })
      }
    )
    if (use === undefined) {
      return yield* sql.withTransaction(
        Effect.flatMap(leftOvers.stateNow(workspace.id), (state) => settled("the stored state is kept", state, () => true))
      )
    }
    const pending = yield* asSeen(workspace, seen)
    const state = yield* kept(workspace.id, use)
    yield* bodies.room(
      state.sizeBytes,
      Effect.flatMap(following(workspace, pending, state), ({ bytes, runId, serial, stageId }) =>
        states.adopt(
          workspace.id,
          { bytes, runId, serial, unlike: noState(use, name) },
          settled(
            `${use} is the state now, with the serial ${serial}`,
            Effect.succeed(bytes),
            (rescue) => rescue.stageId === stageId
          )
        ))
    )
  })

  /** Opens the lock with this id by force; succeeds if there is no lock. */
  const unlock = Effect.fn("StateRescue.unlock")(function*(name: string, by: string, lockId: string) {
    yield* locks.forceUnlock((yield* workspaces.named(name)).id, lockId, by)
  })

  /**
   * Stores a state that a person brings. Fails with 409 `wrong-moment` while a run holds the workspace, whose plan or apply is of the stored
   * state, and with 409 `rescue-pending` while that is in doubt.
   */
  const push = Effect.fn("StateRescue.push")(function*(name: WorkspaceName, bytes: Uint8Array, replace: string | undefined) {
    const isFree = Effect.fnUntraced(function*({ currentRunId, id }: Workspace) {
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
    yield* states.push(workspaces.ensure(name), { bytes, replace }, isFree)
  })

  return { view, viewAfter, refused, settle, unlock, push }
})

export class StateRescue extends Context.Service<StateRescue>()("agent-job/server/StateRescue", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
