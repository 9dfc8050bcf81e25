// The connections that a server of the worker has: also those that Node counts no more, as one that asked for another protocol.
// Always holds: the oldest is the first.
// Used by worker/readiness.ts and worker/state-gateway.ts.
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
