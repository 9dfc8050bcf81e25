// A server to which a request for an upgrade is one like any other: it is answered by HTTP, and its connection has the limits of all.
// Invariant: nothing listens for upgrades, for which Node would take a connection out of the server's time limits.
// Used by server/lifecycle/listen, controller/lifecycle/health and worker/state/state-gateway.
import type { IncomingMessage, Server, ServerResponse } from "node:http"

/** Closes the connection after the answer to a request for an upgrade: Node loses what has arrived behind it, such as half of the next one. */
const endAfterUpgrade = ({ headers }: IncomingMessage, response: ServerResponse): void => {
  if (headers.upgrade !== undefined) response.shouldKeepAlive = false
}

/** Takes each listener for upgrades away as soon as it is added: Effect adds one. Node's `shouldUpgradeCallback` is not in every Node 24. */
export const withoutUpgrades = (server: Server): Server =>
  server
    .on("newListener", (event, listener) => {
      if (event === "upgrade") queueMicrotask(() => server.off("upgrade", listener))
    })
    .on("request", endAfterUpgrade)
    .on("checkContinue", endAfterUpgrade)
