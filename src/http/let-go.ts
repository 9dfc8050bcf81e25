// Gives up the body of an answer that nobody reads, because it would keep its connection.
// Used by cli/server/server-requests and worker/network/archive-url.
import { Effect, Stream } from "effect"
import type { HttpClientResponse } from "effect/http"

/** Ends the body after its first bytes, for which it waits. */
export const letGo = ({ stream }: HttpClientResponse.HttpClientResponse): Effect.Effect<void> =>
  Effect.ignore(Stream.runDrain(Stream.take(stream, 1)))
