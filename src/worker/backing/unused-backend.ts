// Tells of a backend that the configuration has and the stage does not use, since its old state may be there.
// Invariant: in a pool, that is told only by a plan, and only while the workspace has no state.
// Used by worker/stage/preparation.ts.
import { Effect } from "effect"
import { nothingHereYet, replacedBySpec } from "../../core/state/unused-backend.ts"
import type { AgentTaskSpec } from "../../schema/task/agent-task.ts"
import type { StageResult } from "../../schema/task/stage-result.ts"
import { Log } from "../engine/log-shipper.ts"
import type { Sealing } from "./backing.ts"
import type { RootModule } from "./root-module.ts"

/** Writes a line to the log where another backend takes the place of the configuration's own, and returns what a plan's result says of it. */
export const tellUnusedBackend = Effect.fnUntraced(function*(
  { backend, pool, stage, workspace }: AgentTaskSpec,
  { backend: named }: RootModule,
  state: Sealing["state"]
) {
  const result: Pick<StageResult, "unusedBackend"> = {}
  if (named === undefined) return result
  const { line } = yield* Log
  if (pool === undefined) {
    if (backend !== undefined && backend.type !== named) yield* line(replacedBySpec(named, backend.type))
    return result
  }
  if (stage !== "plan" || (yield* state) !== "none") return result
  yield* line(nothingHereYet(named, workspace, pool.url))
  return { unusedBackend: named }
})
