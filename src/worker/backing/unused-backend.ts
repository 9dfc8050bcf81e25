// Tells of a backend that the configuration has and the stage does not use, since its old state may be there.
// Invariant: a file that is not read counts for nothing.
// Used by worker/stage/preparation.ts.
import { Effect, Option } from "effect"
import { backendFileName } from "../../core/stage/added-files.ts"
import { backendIn, nothingHereYet, replacedBySpec } from "../../core/state/unused-backend.ts"
import type { AgentTaskSpec } from "../../schema/task/agent-task.ts"
import type { StageResult } from "../../schema/task/stage-result.ts"
import { Log } from "../engine/log-shipper.ts"
import type { Provisioned, Sealing } from "./backing.ts"
import { inRootModule } from "./root-module.ts"

/**
 * Writes a line to the log where another backend takes the place of the configuration's own, and returns what a plan's result says of it.
 * In a pool, that is so only while the workspace has no state.
 */
export const tellUnusedBackend = Effect.fnUntraced(function*(
  { backend, pool, stage, workspace }: AgentTaskSpec,
  place: Provisioned,
  state: Sealing["state"]
) {
  const result: Pick<StageResult, "unusedBackend"> = {}
  if (backend === undefined && pool === undefined) return result
  const named = yield* inRootModule(place, (name, text = "") => name === backendFileName ? undefined : backendIn(name, text))
  if (Option.isNone(named)) return result
  const { line } = yield* Log
  if (pool === undefined) {
    if (backend !== undefined && backend.type !== named.value) yield* line(replacedBySpec(named.value, backend.type))
    return result
  }
  if (stage !== "plan" || (yield* state) !== "none") return result
  yield* line(nothingHereYet(named.value, workspace, pool.url))
  return { unusedBackend: named.value }
})
