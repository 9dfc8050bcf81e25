// How a person settles what left a state in doubt: the stored state is kept, or a refused one of the stage in doubt becomes the next.
// Invariant: a refused state becomes the next version only in the transaction that settles its stage's doubt, and in the stored lineage.
// Used by server/routes/workspace-state-routes.
import { Context, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { isFinal, RunEvent } from "../../core/run/run-machine.ts"
import { withHeadSerial } from "../../core/state/state-head.ts"
import { isEncrypted } from "../../core/state/state-objects.ts"
import type { SettleRescue } from "../../schema/api/state.ts"
import { Bodies } from "../access/bodies.ts"
import type { Caller } from "../access/tokens.ts"
import { conflict, invalid, type StoreFailure } from "../refused.ts"
import { Journals } from "../run/journals.ts"
import { LeftOvers, type StateBytes } from "../run/left-overs.ts"
import { Runs } from "../run/runs.ts"
import { Stages } from "../run/stages.ts"
import { Evidence, type EvidenceRow } from "../workspace/evidence.ts"
import { nothingPending, type Rescue, Rescues } from "../workspace/rescues.ts"
import { excessOf, Heap } from "../workspace/state-body.ts"
import { StateVersions } from "../workspace/state-versions.ts"
import { type Workspace, Workspaces } from "../workspace/workspaces.ts"

/** Who decides: the token's holder, whose name the audit trail has, and what is shown of them beside the decision. */
interface Decider {
  readonly caller: Caller
  readonly shown: string
}

/** What a person decides about a workspace, and in `seen` what they saw when they looked. */
interface Decision {
  readonly workspace: Workspace
  readonly by: Decider
  readonly seen: Pick<SettleRescue, "pending" | "journals" | "evidence" | "version">
}

/** Which pending rescues are settled: those that `isMeant` selects. `how` is shown with them, and `state` is what is stored from then on. */
interface Settling<E> {
  readonly isMeant: (rescue: Rescue) => boolean
  readonly how: string
  readonly state: Effect.Effect<StateBytes, E>
}

/** The refusal of evidence that is no state: of a stage's state only the head was read when it was kept. */
const noState = (id: string, name: string) =>
  invalid(
    `The state ${id} is not JSON as the engines write it, so it cannot be the state of ${name} and nothing was settled; look at it with: agent-job state show ${name} --evidence ${id}`
  )

export class Settlements extends Context.Service<Settlements, {
  /**
   * Settles everything that is pending in a workspace, with the stored state as it is; or, with `use`, what one stage left, with its refused
   * state `use` as the next version. The imports for what is settled are cancelled. Fails with 409 `nothing-pending`, `changed` if anything
   * is not as the person saw it, `import-runs` while an import applies, and `not-in-doubt` for a state of a stage that has no pending
   * rescue; with 404 and 503; and with `use` as `StateVersions.adopt`.
   */
  readonly settle: (name: string, by: Decider, decided: Omit<SettleRescue, "by">) => Effect.Effect<void, StoreFailure>
}>()("agent-job/server/Settlements") {
  static readonly layer = Layer.effect(Settlements, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const bodies = yield* Bodies
  const leftOvers = yield* LeftOvers
  const evidence = yield* Evidence
  const heapBytes = yield* Heap
  const journals = yield* Journals
  const rescues = yield* Rescues
  const runs = yield* Runs
  const stages = yield* Stages
  const states = yield* StateVersions
  const workspaces = yield* Workspaces

  /** Reports whether the stage of a rescue has told more since the person looked; an older command line does not say what they saw. */
  const hasToldMore = ({ id, stageId }: Rescue, { journals: ends = {} }: Decision["seen"]) =>
    Effect.map(journals.end(stageId), (end) => end > (ends[id] ?? end))

  /**
   * Returns the pending rescues, if they, the journals of their stages, the evidence and the stored state are what the person who decides
   * saw: a worker that was cut off may have told more, and a run that began before the doubt came may have stored newer states. Otherwise
   * fails with 409 `changed`.
   */
  const asSeen = Effect.fnUntraced(function*({ seen, workspace: { id: workspaceId, name } }: Decision) {
    const pending = yield* rescues.pending(workspaceId)
    const refused = yield* evidence.list(workspaceId)
    const stored = yield* states.current(workspaceId)
    if (pending.length === 0) return yield* nothingPending(name)
    const toldMore = yield* Effect.filter(pending, (rescue) => hasToldMore(rescue, seen))
    const newest = refused.findIndex(({ id }) => id === seen.evidence)
    const changes = [
      ...pending.filter(({ id }) => !seen.pending.includes(id)).map(({ stageId }) => `what ${stageId} left in doubt is new`),
      ...toldMore.map(({ stageId }) => `the journal of ${stageId} has new entries`),
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

  /** Settles rescues in the caller's transaction, if all is as the person saw it. */
  const settleMeant = Effect.fnUntraced(function*<E>(decision: Decision, { how, isMeant, state }: Settling<E>) {
    const { by } = decision
    const meant = (yield* asSeen(decision)).filter(isMeant)
    yield* leftOvers.storeSettled(state, meant)
    yield* Effect.forEach(
      meant,
      (rescue) => Effect.andThen(endImports(rescue, by.caller.name), rescues.settle(rescue.id, by.shown, how)),
      { discard: true }
    )
  })

  /** Settles everything that is pending, with the stored state as it is. */
  const keepStored = (decision: Decision) =>
    sql.withTransaction(
      Effect.flatMap(
        leftOvers.stateNow(decision.workspace.id),
        (state) => settleMeant(decision, { isMeant: () => true, how: "the stored state is kept", state })
      )
    )

  /** Makes a refused state the next version, and settles with it what its stage left. */
  const useRefused = Effect.fnUntraced(function*(decision: Decision, id: string) {
    const { workspace } = decision
    const pending = yield* asSeen(decision)
    const refused = yield* evidence.get(workspace.id, id)
    yield* bodies.room(
      decision.by.caller,
      refused.sizeBytes,
      Effect.flatMap(following(workspace, pending, refused), ({ bytes, runId, serial, stageId }) =>
        states.adopt(
          workspace.id,
          { bytes, runId, serial, unlike: noState(id, workspace.name) },
          settleMeant(decision, {
            isMeant: (rescue) => rescue.stageId === stageId,
            how: `${id} is the state now, with the serial ${serial}`,
            state: Effect.succeed(bytes)
          })
        ))
    )
  })

  return Settlements.of({
    settle: Effect.fn("Settlements.settle")(function*(name, by, { use, ...seen }) {
      const decision = { workspace: yield* workspaces.named(name), by, seen }
      yield* use === undefined ? keepStored(decision) : useRefused(decision, use)
    })
  })
})
