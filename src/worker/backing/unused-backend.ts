// Tells of a backend that the configuration has and the stage does not use, since its old state may be there.
// Invariant: nothing outside of the configuration is read, and a file that is larger than a person writes is passed over.
// Used by worker/stage/preparation.ts.
import { Effect, Option } from "effect"
import { isConfiguration } from "../../core/stage/configuration-files.ts"
import { backendIn, nothingHereYet, replacedBySpec } from "../../core/state/unused-backend.ts"
import type { AgentTaskSpec } from "../../schema/task/agent-task.ts"
import type { StageResult } from "../../schema/task/stage-result.ts"
import { Log } from "../engine/log-shipper.ts"
import { linkedTo, namesIn, readFile } from "../volume/folder.ts"
import type { Provisioned, Sealing } from "./backing.ts"

const limitBytes = 1024 * 1024

/** Returns the backend that the root module names itself, also in a file that a link leads to: some choose their backend by one. */
const namedBackend = Effect.fnUntraced(function*({ directory, root }: Provisioned) {
  for (const name of (yield* namesIn(root, directory)).filter((name) => isConfiguration(name))) {
    const here = [...directory, name]
    const content = yield* readFile(root, Option.getOrElse(yield* linkedTo(root, here), () => here), limitBytes)
    const named = Option.flatMapNullishOr(content, (bytes) => backendIn(name, new TextDecoder().decode(bytes)))
    if (Option.isSome(named)) return named
    yield* Effect.yieldNow // the runner may make many files, as large as they may be
  }
  return Option.none()
})

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
  const named = yield* namedBackend(place)
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
