// Tells the kubelet whether this process has the task: of two Pods of one Job, the Job controller ends the one that is not ready.
// Invariant: 200 only between the claim and the end of the process; other clients neither fill its memory nor keep the kubelet out.
// Used by worker/stage/worker.ts.
import { Effect } from "effect"
import { createServer, type Server } from "node:http"
import type { Socket } from "node:net"
import { invalid, type StageFailed } from "../stage-failed.ts"

/** The most connections at a time. The kubelet has one; the runner can connect too, and so can other Pods unless a policy forbids it. */
const mostConnections = 64

/** How long the head, and the whole of a request, may take, and how large the head may be; requests have no body. */
const limits = { headersTimeout: 5000, requestTimeout: 5000, connectionsCheckingInterval: 1000, maxHeaderSize: 4096 }

/**
 * Closes the oldest connection when there are too many; returns a function that closes all. `maxConnections` would refuse the newest, so a
 * client that holds that many would keep the kubelet out. A flood of new connections may still cost the kubelet an answer, without harm: a
 * failed readiness probe restarts nothing, no PodDisruptionBudget lets such a Pod go, and the controller says no more than that the Pod is not ready.
 */
const keepFew = (server: Server) => {
  const open = new Set<Socket>() // in the order in which they came
  server.on("connection", (socket) => {
    open.add(socket)
    socket.once("close", () => open.delete(socket))
    const [oldest] = open
    if (open.size <= mostConnections || oldest === undefined) return
    open.delete(oldest)
    oldest.destroy()
  })
  return () => open.forEach((socket) => socket.destroy())
}

/** Listens until the scope closes. The returned effect makes it answer 200 from then on. */
export const serveReadiness = Effect.fnUntraced(function*(port: number) {
  let ready = false
  const server = createServer(limits, (request, response) => {
    const known = request.url === "/readyz"
    response.writeHead(known && ready ? 200 : known ? 503 : 404, { connection: "close" }).end()
  })
  const endAll = keepFew(server)
  yield* Effect.acquireRelease(
    Effect.callback<void, StageFailed>((resume) => {
      // Also for what comes later: a connection that the system cannot hand over is an error of the server, and would end the process.
      server.on("error", () => resume(Effect.fail(invalid(`Port ${port} of the Pod is in use; nothing else in it may listen there.`))))
      server.listen(port, () => resume(Effect.void))
    }),
    () =>
      Effect.sync(() => {
        server.close()
        endAll() // a closed server does not end late requests any more, and one of them would keep the process alive
      })
  )
  return Effect.sync(() => {
    ready = true
  })
})
