// Tells the log which workspaces have a state without its file, as where only the database was restored: otherwise their next run would tell.
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
    const missing: Array<{ readonly workspace: string; readonly file: string }> = []
    for (const { id, name } of yield* workspaces.list) {
      const current = yield* states.current(id)
      if (current !== undefined && Option.isNone(yield* blobs.about(current.sha256))) {
        missing.push({ workspace: name, file: current.sha256 })
      }
      yield* Effect.yieldNow
    }
    if (missing.length === 0) return
    yield* Effect.logError(
      "the states of these workspaces are missing in blobs/, and nothing plans or applies there: copy the files there from a backup, see docs/state.md",
      { workspaces: missing.length, missing: missing.slice(0, named) }
    )
  })

  return { tell }
})

export class MissingStates extends Context.Service<MissingStates>()("agent-job/server/MissingStates", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
