// The open connections of a server of the worker, including those that Node does not count any more, such as one that asked for an upgrade.
// Always holds: they are in the order in which they came, the oldest first.
// Used by worker/task/readiness.ts and worker/state/state-gateway.ts.
import type { Server } from "node:http"
import type { Socket } from "node:net"

export const openSockets = (server: Server): Set<Socket> => {
  const open = new Set<Socket>()
  server.on("connection", (socket) => {
    open.add(socket)
    socket.once("close", () => open.delete(socket))
  })
  return open
}
