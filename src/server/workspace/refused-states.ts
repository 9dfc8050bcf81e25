// What becomes of a stage's state that is not stored as a version: evidence, and a rescue where nobody else would open one.
// Invariant: a state is dropped only where others of its stage or workspace come first; its sender is told, and no rescue is opened.
// Used by state-versions, and by stage-states and kept-states for what they say.
import { Effect, Schema } from "effect"
import { SqlClient } from "effect/sql"
import type { KeptRefusal } from "../../schema/api/task-api.ts"
import { RunId } from "../../schema/names.ts"
import { Stage } from "../../schema/task/agent-task.ts"
import type { Refused, StoreFailure } from "../refused.ts"
import { row } from "../store/database.ts"
import { Evidence, type RefusedState, RefusedStateFate } from "./evidence.ts"
import { Rescues } from "./rescues.ts"

const dropped = {
  stage: "It is not kept, since states of higher serials are.",
  workspace: "It is not kept, since its workspace has as many states as the server keeps there of stages that run or wait for a rescue."
}

/** Says what became of a state, for a person. */
export const fateSentence = RefusedStateFate.$match({
  Evidence: ({ id }) => `It is kept as ${id}.`,
  Stored: ({ serial }) => `It was stored before, with the serial ${serial}.`,
  Dropped: ({ limit }) => dropped[limit]
})

/** Says the same in the details of a refusal, for the worker that sent the state. */
export const fateDetails = ({ _tag }: RefusedStateFate): typeof KeptRefusal.Type | undefined =>
  _tag === "Evidence" ? { kept: true } : undefined

/** A state to be kept as evidence. `doubt` is what the rescue says that it opens, if not that the stage sent the state after its end. */
export interface StateToKeep extends RefusedState {
  readonly doubt?: string | undefined
  /** The refusal of a state that opens no rescue, if its stage has no pending one. */
  readonly unlessPending?: Refused | undefined
}

/** What is read of a stage that ended. */
const Over = Schema.Struct({ stage: Stage, runId: RunId })

export const makeKeepRefused = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const evidence = yield* Evidence
  const rescues = yield* Rescues

  const endOf = (stageId: string) => row(Over)(sql`SELECT stage, runId FROM stages WHERE id = ${stageId} AND endedAt IS NOT NULL`)

  /** Opens a rescue if the stage is over: its end may not have known of the state, and a person may have settled what it left in doubt. */
  const openIfOver = ({ doubt, stageId, workspaceId }: StateToKeep) =>
    Effect.flatMap(
      endOf(stageId),
      (over) =>
        over === undefined
          ? Effect.void
          : rescues.open({
            workspaceId,
            stageId,
            reason: "StateNotSaved",
            message: doubt ?? `The ${over.stage} of ${over.runId} sent a state after its end`
          })
    )

  const failUnlessPending = (stageId: string, refused: Refused) =>
    Effect.flatMap(rescues.ofStage(stageId), (rescue) => rescue?.settledAt === null ? Effect.void : Effect.fail(refused))

  /**
   * Keeps a stage's state as evidence, with an open rescue if the stage is over. A state that was stored before is not kept if the stage is
   * over.
   */
  return Effect.fnUntraced(function*(state: StateToKeep): Effect.fn.Return<RefusedStateFate, StoreFailure> {
    if ((yield* endOf(state.stageId)) !== undefined) {
      const stored = yield* sql`SELECT id FROM stateVersions WHERE workspaceId = ${state.workspaceId} AND sha256 = ${state.received.sha256}`
      if (stored.length > 0) return RefusedStateFate.Stored({ serial: state.serial })
    }
    const { stageId, unlessPending } = state
    const ifNew = unlessPending === undefined ? openIfOver(state) : failUnlessPending(stageId, unlessPending)
    return yield* evidence.keep(state, ifNew)
  })
})
