// The server of this process that answers a request, as Node itself tells whoever listens for it.
// Used by the tests of what the worker serves.
import { Effect, Predicate } from "effect"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { Server } from "node:http"

const channel = "http.server.request.start"

/** Makes the request; returns the server that it came to. */
export const answeringServer = (request: Effect.Effect<unknown>): Effect.Effect<Server> =>
  Effect.suspend(() => {
    const found: Array<Server> = []
    const see = (message: unknown) => {
      if (Predicate.hasProperty(message, "server") && message.server instanceof Server) found.push(message.server)
    }
    subscribe(channel, see)
    return request.pipe(
      Effect.ensuring(Effect.sync(() => unsubscribe(channel, see))),
      Effect.andThen(Effect.suspend(() => Effect.orDie(Effect.fromNullishOr(found[0]))))
    )
  })

/** What Node tells of a connection that the system cannot hand over. */
export const noConnection = Object.assign(new Error("accept ENOBUFS"), { code: "ENOBUFS", syscall: "accept" })
