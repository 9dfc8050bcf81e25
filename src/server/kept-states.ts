// States that did not arrive by a push: those that a stage had to leave encrypted outside of its Pod, and files that a person brings.
// Invariant: an encrypted state belongs to the stage whose key opens it, whoever brings it; all become evidence and nothing more.
// Used by the task routes (brought by the next worker) and by the workspace routes (brought by a person).
import { Context, Effect, Layer, Result } from "effect"
import { createDecipheriv } from "node:crypto"
import { keptStateBytes, keptStateLine, type KeptStateParts, unframe } from "../schema/task-api.ts"
import { conflict, invalid } from "./refused.ts"
import { Rescues } from "./rescues.ts"
import { Runs } from "./runs.ts"
import { Stages } from "./stages.ts"
import { Heap, identify } from "./state-body.ts"
import { StateVersions } from "./state-versions.ts"
import { Tokens } from "./tokens.ts"
import { type Workspace, Workspaces } from "./workspaces.ts"

const opened = (key: Uint8Array, { hidden, stage, tag, vector }: KeptStateParts) =>
  Result.try({
    try: () => {
      const decipher = createDecipheriv("aes-256-gcm", key, vector, { authTagLength: keptStateBytes.tag })
      decipher.setAAD(keptStateLine(stage)).setAuthTag(tag)
      const state = decipher.update(hidden)
      decipher.final() // returns nothing more, and fails unless the tag is the state's
      return state
    },
    catch: () =>
      invalid(
        "This kept state is damaged, or was made for another server, so it is left where it is; bring another copy, or bring it to that server."
      )
  })

const make = Effect.gen(function*() {
  const heapBytes = yield* Heap
  const rescues = yield* Rescues
  const runs = yield* Runs
  const stages = yield* Stages
  const states = yield* StateVersions
  const tokens = yield* Tokens
  const workspaces = yield* Workspaces

  /** Returns the key of a stage's kept states: 256 bits in hex. */
  const keyOf = (stage: string) => tokens.secretOf(`kept state ${stage}`)

  /** Keeps a state as evidence. A state that was dropped is refused, so that whoever has a copy keeps it. */
  const keepAsEvidence = Effect.fnUntraced(
    function*(stageId: string, workspaceId: string, state: { readonly bytes: Uint8Array; readonly why: string }) {
      const { as, sentence } = yield* states.keepAsEvidence(stageId, workspaceId, state)
      if (as === "nothing") {
        return yield* conflict(
          "not-kept",
          `The server has nothing of this state of ${stageId}, so its copy is to stay where it is. ${sentence}`
        )
      }
      return { workspaceId, stored: as === "stored" ? sentence : undefined }
    }
  )

  /**
   * Takes an encrypted state; succeeds too if it was stored, or kept as evidence, before. Returns its workspace, and a sentence in `stored`
   * if it was stored.
   */
  const take = Effect.fn("KeptStates.take")(function*(bytes: Uint8Array) {
    const kept = unframe(bytes)
    const stage = kept === undefined ? undefined : yield* stages.find(kept.stage)
    if (kept === undefined || stage === undefined) {
      return yield* invalid(
        "This is no kept state of a stage of this server, so it is left where it is; bring it to the server whose stage made it."
      )
    }
    const state = yield* Effect.fromResult(opened(Buffer.from(keyOf(stage.id), "hex"), kept))
    if (stage.endedAt === null) {
      return yield* conflict("not-over", `The stage ${stage.id} still runs and may save its state itself; bring this copy once it is over.`)
    }
    const { workspaceId } = yield* runs.get(stage.runId)
    return yield* keepAsEvidence(stage.id, workspaceId, { bytes: state, why: "It could not be saved, and was kept outside of its Pod." })
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
    return yield* keepAsEvidence(pending.stageId, id, { bytes, why: `It is a file that ${by} brought.` })
  })

  /** Takes what a person brings: an encrypted kept state, or a state as the engine writes it. */
  const bring = Effect.fn("KeptStates.bring")(function*(name: string, bytes: Uint8Array, by: string) {
    const workspace = yield* workspaces.named(name)
    const { stored, workspaceId } = yield* unframe(bytes) === undefined ? takePlain(workspace, bytes, by) : take(bytes)
    if (workspaceId !== workspace.id) {
      const other = (yield* workspaces.get(workspaceId)).name
      return yield* conflict(
        "other-workspace",
        `This kept state is not of ${name} but of ${other}, where the server has it now; look at it with: agent-job state show ${other}`,
        stored === undefined ? { kept: true } : {} // so that the audit trail has it
      )
    }
    if (stored !== undefined) return yield* conflict("stored-before", `Nothing was taken of this state of ${name}. ${stored}`)
  })

  return { keyOf, take, bring }
})

export class KeptStates extends Context.Service<KeptStates>()("agent-job/server/KeptStates", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
