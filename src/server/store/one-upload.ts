// Keeps the upload in progress of each thing that takes one, such as a configuration version or the plan of a stage.
// Invariant: each takes the room of one upload on the disk, and an upload whose sender is gone holds up none.
// Used by server/run/configurations and server/routes/task-routes.
import { Deferred, Effect } from "effect"
import type { Refused } from "../refused.ts"

/** Returns what receives an upload for an id; the next upload for that id ends it with the refusal `replaced`. */
export const makeOneUpload = (replaced: Refused) => {
  const uploads = new Map<string, Deferred.Deferred<never, Refused>>()
  return Effect.fnUntraced(function*<A, E, R>(id: string, receive: Effect.Effect<A, E, R>) {
    const ended = yield* Deferred.make<never, Refused>()
    const before = uploads.get(id)
    uploads.set(id, ended)
    if (before !== undefined) yield* Deferred.fail(before, replaced)
    return yield* Effect.raceFirst(receive, Deferred.await(ended)).pipe(
      Effect.ensuring(Effect.sync(() => uploads.get(id) === ended && uploads.delete(id)))
    )
  })
}
