// States that did not arrive by a push: those that a stage had to leave encrypted outside of its Pod, and files that a person brings.
// Invariant: an encrypted state is of the stage whose key opens it, whoever brings it; all become evidence and nothing more.
// Used by the task routes (brought by the next worker) and by workspace-state-routes (brought by a person).
import { Context, Effect, Layer, Result } from "effect"
import { createDecipheriv } from "node:crypto"
import { type HolderOfSome, notBrought } from "../../core/run/permission.ts"
import { keptStateBytes, keptStateLine, type KeptStateParts, unframe } from "../../schema/api/task-api.ts"
import { mutates } from "../../schema/task/agent-task.ts"
import { Tokens } from "../access/tokens.ts"
import { conflict, invalid, refuseIf, type StoreFailure } from "../refused.ts"
import { Runs } from "../run/runs.ts"
import { type StageRow, Stages } from "../run/stages.ts"
import { actsOn } from "../store/act.ts"
import { fateSentence } from "../workspace/refused-states.ts"
import { Rescues } from "../workspace/rescues.ts"
import { Heap, identify } from "../workspace/state-body.ts"
import { type LateState, StateVersions } from "../workspace/state-versions.ts"
import { type Workspace, Workspaces } from "../workspace/workspaces.ts"

const decrypted = (key: Uint8Array, { hidden, stage, tag, vector }: KeptStateParts) =>
  Result.try({
    try: () => {
      const decipher = createDecipheriv("aes-256-gcm", key, vector, { authTagLength: keptStateBytes.tag })
      decipher.setAAD(keptStateLine(stage)).setAuthTag(tag)
      const state = decipher.update(hidden)
      decipher.final() // returns nothing more, and fails unless the tag is the state's
      return state
    },
    catch: () =>
      conflict(
        "not-of-this-server",
        "This kept state is damaged, or was made for another server, or for this one with another path.key, so it is left where it is; bring another copy, or bring it to that server."
      )
  })

export class KeptStates extends Context.Service<KeptStates, {
  /** Returns the key of a stage's kept states: 256 bits in hex. */
  readonly keyOf: (stage: string) => string
  /**
   * Takes an encrypted state from a worker; succeeds too if it was stored, or kept as evidence, before. Fails with 422 if it is none, and
   * with 409 `not-of-this-server`, `not-over` while its stage runs, `not-kept` where nothing of it is ever kept, or `evidence-full` until a
   * person has settled what its workspace waits for.
   */
  readonly take: (bytes: Uint8Array) => Effect.Effect<void, StoreFailure>
  /**
   * Takes what a person brings: an encrypted kept state, or a state as the engine writes it. Fails as `take`, and with 404, 409
   * `nothing-pending` for a plain state that no rescue waits for, `other-workspace` for a state that is kept there, and `stored-before`,
   * and with 403 for a kept state of a stage that is not known to be of a workspace that the token is for.
   */
  readonly bring: (name: string, bytes: Uint8Array, by: HolderOfSome) => Effect.Effect<void, StoreFailure>
}>()("agent-job/server/KeptStates") {
  static readonly layer = Layer.effect(KeptStates, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const heapBytes = yield* Heap
  const rescues = yield* Rescues
  const runs = yield* Runs
  const stages = yield* Stages
  const states = yield* StateVersions
  const tokens = yield* Tokens
  const workspaces = yield* Workspaces

  const keyOf = (stage: string) => tokens.secretOf(`kept state ${stage}`)

  /** Keeps a state as evidence. A state that was dropped is refused, so that whoever has a copy keeps it. */
  const keepAsEvidence = Effect.fnUntraced(
    function*(stageId: string, workspaceId: string, state: LateState) {
      yield* actsOn(stageId)
      const fate = yield* states.keepAsEvidence(stageId, workspaceId, state)
      if (fate._tag === "Dropped") {
        return yield* conflict(
          fate.limit === "stage" ? "not-kept" : "evidence-full",
          `The server has nothing of this state of ${stageId}, so its copy is to stay where it is. ${fateSentence(fate)}`
        )
      }
      return { workspaceId, stored: fate._tag === "Stored" ? fateSentence(fate) : undefined }
    }
  )

  /**
   * Decrypts a kept state, which shows that a worker of this server made it: a restored database may lack its stage, but the key follows
   * from the stage's name.
   */
  const open = (kept: KeptStateParts) =>
    Effect.map(Effect.fromResult(decrypted(Buffer.from(keyOf(kept.stage), "hex"), kept)), (state) => ({ state, stageId: kept.stage }))

  /** Takes the decrypted state of a stage, which has to be over. Its key never ends, so whoever had the stage can make one. */
  const takeOf = Effect.fnUntraced(function*({ endedAt, id, runId, stage }: StageRow, bytes: Uint8Array) {
    if (!mutates(stage)) {
      return yield* conflict(
        "not-kept",
        `The stage ${id} is a ${stage}, which makes no state, so nothing of this is kept; look at where it comes from.`
      )
    }
    if (endedAt === null) {
      return yield* conflict("not-over", `The stage ${id} still runs and may save its state itself; bring this copy once it is over.`)
    }
    const { workspaceId } = yield* runs.get(runId)
    return yield* keepAsEvidence(id, workspaceId, { bytes, why: "It could not be saved, and was kept outside of its Pod." })
  })

  const take = Effect.fn("KeptStates.take")(function*(bytes: Uint8Array) {
    const kept = unframe(bytes)
    if (kept === undefined) {
      return yield* invalid(
        "This is no state as a worker keeps one, so it is left where it is; look at what it is, and remove it if nobody needs it."
      )
    }
    const { stageId, state } = yield* open(kept)
    const stage = yield* stages.find(stageId)
    if (stage === undefined) {
      return yield* conflict(
        "not-of-this-server",
        `The stage ${stageId}, which left this kept state, is not in this server's database, as after a restore, so the state is left where it is; bring it yourself with: agent-job state rescue NAME --file FILE`
      )
    }
    yield* takeOf(stage, state)
  })

  /**
   * Takes a state whose stage is not in the database, as evidence of the workspace that the person names: of its oldest pending rescue, or
   * with a new rescue of its newest stage that is over. Only then can it be looked at and used.
   */
  const takeUnknown = Effect.fnUntraced(function*({ id, name }: Workspace, stageId: string, bytes: Uint8Array, by: string) {
    const [pending] = yield* rescues.pending(id)
    const heir = pending?.stageId ?? (yield* stages.newestOver(id))?.id
    if (heir === undefined) {
      return yield* conflict(
        "not-of-this-server",
        `The stage ${stageId}, which left this kept state, is not in this server's database, and no other stage of ${name} is over there, so the state is left where it is; plan ${name} once, then bring it again.`
      )
    }
    yield* identify(heapBytes, bytes)
    const doubt = `The stage ${stageId}, which is not in the database, left a state`
    return yield* keepAsEvidence(heir, id, { bytes, why: `${doubt}, which ${by} brought.`, doubt, writer: "unknown" })
  })

  /** Takes a plain state as evidence of the workspace's oldest pending rescue, because nothing in it says which stage it is from. */
  const takePlain = Effect.fnUntraced(function*({ id, name }: Workspace, bytes: Uint8Array, by: string) {
    const [pending] = yield* rescues.pending(id)
    if (pending === undefined) {
      return yield* conflict(
        "nothing-pending",
        `Nothing of ${name} waits to be settled, so no state is taken; see: agent-job state show ${name}`
      )
    }
    yield* identify(heapBytes, bytes) // a person is told at once that a file is damaged, as far as it is parsed
    const unlessPending = conflict( // it may be settled since it was read
      "nothing-pending",
      `What ${pending.stageId} left in doubt is settled by now, so no state is taken; see: agent-job state show ${name}`
    )
    return yield* keepAsEvidence(pending.stageId, id, { bytes, why: `It is a file that ${by} brought.`, unlessPending, writer: "unknown" })
  })

  const takeKept = Effect.fnUntraced(function*(workspace: Workspace, kept: KeptStateParts, by: HolderOfSome) {
    const { stageId, state } = yield* open(kept)
    const stage = yield* stages.find(stageId)
    const message = notBrought(by, stageId, stage === undefined ? undefined : (yield* runs.get(stage.runId)).workspace)
    yield* refuseIf(message)
    return yield* stage === undefined ? takeUnknown(workspace, stageId, state, by.name) : takeOf(stage, state)
  })

  const bring = Effect.fn("KeptStates.bring")(function*(name: string, bytes: Uint8Array, by: HolderOfSome) {
    const workspace = yield* workspaces.named(name)
    const kept = unframe(bytes)
    const { stored, workspaceId } = yield* kept === undefined ? takePlain(workspace, bytes, by.name) : takeKept(workspace, kept, by)
    if (workspaceId !== workspace.id) {
      const other = (yield* workspaces.get(workspaceId)).name
      return yield* conflict(
        "other-workspace",
        `This kept state is not of ${name} but of ${other}, where the server has it now; look at it with: agent-job state show ${other}`
      )
    }
    if (stored !== undefined) return yield* conflict("stored-before", `Nothing was taken of this state of ${name}. ${stored}`)
  })

  return KeptStates.of({ keyOf, take, bring })
})
