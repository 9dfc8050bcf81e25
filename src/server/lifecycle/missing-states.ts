// Tells the log which workspaces have a state whose file is missing or cut, as where only the database was restored, or a copy of files broke
// off: otherwise their next run would tell.
// Used by server/lifecycle/upkeep.
import { Context, Effect, Layer, Option } from "effect"
import { Blobs } from "../store/blobs.ts"
import { StateVersions } from "../workspace/state-versions.ts"
import { Workspaces } from "../workspace/workspaces.ts"

/** The most workspaces that are named. */
const named = 20

const make = Effect.gen(function*() {
  const blobs = yield* Blobs
  const states = yield* StateVersions
  const workspaces = yield* Workspaces

  const tell = Effect.gen(function*() {
    const told: Array<{ readonly workspace: string; readonly file: string; readonly found: string }> = []
    for (const { id, name } of yield* workspaces.list) {
      const current = yield* states.current(id)
      if (current !== undefined) {
        const { sha256: file, sizeBytes } = current
        const size = Option.getOrUndefined(yield* blobs.about(file))?.sizeBytes
        const found = size === undefined ? "nothing" : `${size} of ${sizeBytes} bytes`
        if (size !== sizeBytes) told.push({ workspace: name, file, found })
      }
      yield* Effect.yieldNow
    }
    if (told.length === 0) return
    yield* Effect.logError(
      "the states of these workspaces are missing in blobs/, or cut, so no plan and no apply there succeeds: copy their files there from a backup, over what is cut, see docs/state.md",
      { workspaces: told.length, states: told.slice(0, named) }
    )
  })

  return { tell }
})

export class MissingStates extends Context.Service<MissingStates>()("agent-job/server/MissingStates", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
