// Removes, at start, the blobs that no row names: what was refused after it had arrived, or stored or let go when the process died beside its commit.
// Only at start, since then no request is between its blob and its row.
// Used by server/server.
import { Effect, Layer } from "effect"
import { NamedBlobs } from "./named-blobs.ts"
import { ServerError } from "./settings.ts"

export const sweep = Layer.effectDiscard(
  Effect.flatMap(NamedBlobs, ({ keepOnlyNamed }) => keepOnlyNamed).pipe(
    Effect.mapError(({ message }) => new ServerError({ message: `The data directory cannot be tidied up at start: ${message}` }))
  )
)
