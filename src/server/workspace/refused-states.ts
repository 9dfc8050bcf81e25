// What becomes of a stage's state that is not stored as a version: evidence, and a rescue where nobody else would open one.
// Always holds: a state is dropped only where others of its stage or workspace come first; its sender is told, and no rescue is opened.
// Used by state-versions.
import { Effect, Schema } from "effect"
import { SqlClient } from "effect/sql"
import type { KeptRefusal } from "../../schema/api/task-api.ts"
import { RunId } from "../../schema/names.ts"
import { Stage } from "../../schema/task/agent-task.ts"
import type { StoreFailure } from "../refused.ts"
import { row } from "../store/database.ts"
import { Evidence, type RefusedState } from "./evidence.ts"
import { Rescues } from "./rescues.ts"

/** What became of a state that was to be evidence; `sentence` tells a person, `details` the worker. */
export interface Left {
  readonly as: "evidence" | "nothing" | "stored"
  readonly sentence: string
  readonly details: typeof KeptRefusal.Type | undefined
}

const dropped = {
  stage: "It is not kept, since states of higher serials are.",
  workspace: "It is not kept, since its workspace has as many states of rescues that wait, or newer ones, as the server keeps."
}

/** A state to be kept as evidence. `doubt` is what the rescue says that it opens, if not that the stage sent the state after its end. */
export interface Late extends RefusedState {
  readonly doubt?: string | undefined
}

/** What is read of a stage that ended. */
const Over = Schema.Struct({ stage: Stage, runId: RunId })

export const makeKeepRefused = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const evidence = yield* Evidence
  const rescues = yield* Rescues

  const endOf = (stageId: string) => row(Over)(sql`SELECT stage, runId FROM stages WHERE id = ${stageId} AND endedAt IS NOT NULL`)

  /** Opens a rescue if the stage is over: its end may not have known of the state, and a person may have settled what it left in doubt. */
  const openIfOver = ({ doubt, stageId, workspaceId }: Late) =>
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

  /**
   * Keeps a stage's state as evidence, with an open rescue if the stage is over. A state that was stored before is not kept if the stage is
   * over.
   */
  return Effect.fnUntraced(function*(state: Late): Effect.fn.Return<Left, StoreFailure> {
    if ((yield* endOf(state.stageId)) !== undefined) {
      const stored = yield* sql`SELECT id FROM stateVersions WHERE workspaceId = ${state.workspaceId} AND sha256 = ${state.received.sha256}`
      if (stored.length > 0) return { as: "stored", sentence: `It was stored before, with the serial ${state.serial}.`, details: undefined }
    }
    const kept = yield* evidence.keep(state, openIfOver(state))
    return typeof kept === "string"
      ? { as: "nothing", sentence: dropped[kept], details: undefined }
      : { as: "evidence", sentence: `It is kept as ${kept.id}.`, details: { kept: true } }
  })
})
