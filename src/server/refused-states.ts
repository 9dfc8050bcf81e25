// What becomes of a state of a stage that is not stored as a version: evidence, and a rescue where nobody else would open one.
// Always holds: a state is dropped only where others of its stage or its workspace come before it, and whoever sent it is told so; no rescue is opened for it.
// Used by state-versions.
import { Effect, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Stage } from "../schema/agent-task.ts"
import { RunId } from "../schema/names.ts"
import type { KeptRefusal } from "../schema/task-api.ts"
import { row } from "./database.ts"
import { Evidence, type Refusal } from "./evidence.ts"
import type { StoreFailure } from "./refused.ts"
import { Rescues } from "./rescues.ts"

/** What became of a state that was to be evidence, and what is said of it: for a person, and for the worker. */
export interface Left {
  readonly as: "evidence" | "nothing" | "stored"
  readonly sentence: string
  readonly details: typeof KeptRefusal.Type | undefined
}

const dropped = {
  stage: "It is not kept, since states of higher serials are.",
  workspace: "It is not kept, since its workspace has as many states of rescues that wait, or newer ones, as the server keeps."
}

/** A stage that ended. */
const Over = Schema.Struct({ stage: Stage, runId: RunId })

export const makeKeepRefused = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const evidence = yield* Evidence
  const rescues = yield* Rescues

  const endOf = (stageId: string) => row(Over)(sql`SELECT stage, runId FROM stages WHERE id = ${stageId} AND endedAt IS NOT NULL`)

  /** Its end may not have known of the state, and a person may have settled what it left in doubt. */
  const openIfOver = ({ stageId, workspaceId }: Refusal) =>
    Effect.flatMap(
      endOf(stageId),
      (over) =>
        over === undefined
          ? Effect.void
          : rescues.open({
            workspaceId,
            stageId,
            reason: "StateNotSaved",
            message: `The ${over.stage} of ${over.runId} sent a state after its end`
          })
    )

  /**
   * Keeps a state of a stage as evidence, for which a rescue is open if the stage is over; but not if the stage is over and the state was
   * stored before.
   */
  return Effect.fnUntraced(function*(state: Refusal): Effect.fn.Return<Left, StoreFailure> {
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
