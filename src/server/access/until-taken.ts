// What an answer holds until its client has taken it: the scope of the request may end before the socket has a small answer.
// Used by server/access/limits (places among what is asked at once) and server/access/bodies (room in memory).
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { Effect, Exit, Scope } from "effect"
import type { HttpServerRequest } from "effect/http"

/** Runs `take` in a scope that ends when the client has the answer, or has hung up. */
export const untilTaken = Effect.fnUntraced(
  function*<A, E>(request: HttpServerRequest.HttpServerRequest, take: Effect.Effect<A, E, Scope.Scope>) {
    const response = NodeHttpServerRequest.toServerResponse(request)
    const taken = yield* Scope.make()
    const close = Scope.close(taken, Exit.void)
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        if (response.writableFinished || response.destroyed) return close
        response.once("close", () => Effect.runFork(close))
        return Effect.void
      })
    )
    return yield* Scope.provide(take, taken)
  }
)
