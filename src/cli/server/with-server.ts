// Gives a command a screen and the client of the server. Both are loaded and made only when a command that needs them runs.
// Used by run, get, logs, approve, discard, cancel, vars, state and pool, and by cli/run/run-log.
import { Effect } from "effect"
import type { ServerFlags } from "../flags/settings.ts"
import { isAwayForNow, type ServerUnreachable } from "../terminal/failure.ts"
import { lazily } from "../terminal/lazily.ts"
import type { Screen, ScreenOptions } from "../terminal/screen.ts"
import { sayingMeanwhile } from "../terminal/while-silent.ts"
import { withScreen } from "../terminal/with-screen.ts"
import { connection } from "./connection.ts"
import type { ServerClient } from "./server-client.ts"

export interface WithServer {
  readonly screen: Screen["Service"]
  readonly server: ServerClient["Service"]
}

/** Does `work` with a screen and the server's client. Its parts may also ask for both as services. */
export const withServer = <A, E, R>(given: ServerFlags, work: (_: WithServer) => Effect.Effect<A, E, R>, options?: ScreenOptions) =>
  Effect.flatMap(connection(given), (at) =>
    withScreen((screen) =>
      lazily(async () => {
        const { ServerClient } = await import("./server-client.ts")
        return Effect.flatMap(ServerClient, (server) => work({ screen, server })).pipe(Effect.provide(ServerClient.layer(at)))
      }), options))

/** Says, where an answer takes long, who is waited for. */
export const sayingServer = ({ url }: Pick<ServerClient["Service"], "url">) =>
  sayingMeanwhile(`Waiting for an answer from the server at ${url}`)

/**
 * The same for a command that asks and is done. While the server is busy or away for now, `again` says whether all of `work` may be done
 * once more, since an answer may be lost of what was carried out.
 */
export const askServer = <A, E, R>(
  given: ServerFlags,
  work: (_: WithServer) => Effect.Effect<A, E, R>,
  again: (error: ServerUnreachable) => boolean = isAwayForNow
) =>
  withServer(given, (at) =>
    lazily(async () => {
      const { patiently } = await import("./patiently.ts")
      return patiently(sayingServer(at.server)(work(at)), again)
    }))
