// Removes, once after the start and then daily, the blobs that no row names: what was refused after it had arrived, or stored or let go when the process died beside its commit.
// Invariant: only those that are older than any copy of the database that is likely restored, since beside such a copy they are all that is left of newer states.
// Used by server/server.
import { Clock, Duration, Effect, Layer, Schedule } from "effect"
import { NamedBlobs } from "./named-blobs.ts"

const keptFor = Duration.days(30)

const once = Effect.gen(function*() {
  const { files, bytes } = yield* (yield* NamedBlobs).sweep((yield* Clock.currentTimeMillis) - Duration.toMillis(keptFor))
  if (files > 0) yield* Effect.logInfo("files in blobs/ that no record names stay until they are 30 days old; after a restore they may be newer states, see docs/state.md", { files, bytes })
}).pipe(
  Effect.catch(({ message }) => Effect.logWarning("the data directory could not be tidied up, which is tried again tomorrow", message))
)

export const sweep = Layer.effectDiscard(Effect.forkScoped(Effect.repeat(once, Schedule.spaced("1 day"))))
