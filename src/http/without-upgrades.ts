// A server to which a request for an upgrade is one like any other: it goes on speaking HTTP, and the connection has the limits of all.
// Always holds: nothing listens for upgrades, for which Node would take a connection out of the server's time limits.
// Used by server/lifecycle/listen, controller/lifecycle/health and worker/state/state-gateway.
import type { Server } from "node:http"

/** Takes each listener for upgrades away as soon as it is added: Effect adds one. Node's `shouldUpgradeCallback` is not in every Node 24. */
export const withoutUpgrades = (server: Server): Server =>
  server.on("newListener", (event, listener) => {
    if (event === "upgrade") queueMicrotask(() => server.off("upgrade", listener))
  })
