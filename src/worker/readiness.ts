// Answers the kubelet whether this process has the task: of two Pods of one Job, the Job controller ends the one that is not ready.
// Always holds: 200 only between the claim and the end of the process; whoever else connects takes neither its memory nor, by holding connections, the kubelet's turn.
// Used by worker/worker.ts.
import { Effect } from "effect"
import { createServer, type Server } from "node:http"
import { openSockets } from "./open-sockets.ts"
import { invalid, type StageFailed } from "./stage-failed.ts"

/** The kubelet has one. The port is open to the runner too, and to other Pods where no policy keeps them away. */
const mostConnections = 64

/** For the head, and for all, of a request that has no body. */
const limits = { headersTimeout: 5000, requestTimeout: 5000, connectionsCheckingInterval: 1000, maxHeaderSize: 4096 }

/**
 * The oldest makes room: with `maxConnections` the newest would be refused, so whoever holds that many would keep the kubelet out. A flood
 * of new ones may still cost it an answer:
 * a readiness that fails restarts nothing, no budget of disruptions lets such a Pod go, and the controller takes only its node's silence
 * (`Unknown`) for one. Gives how to end all.
 */
const keepFew = (server: Server) => {
  const open = openSockets(server)
  server.on("connection", () => {
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
      server.once("error", () => resume(Effect.fail(invalid(`Port ${port} of the Pod is in use; nothing else in it may listen there.`))))
      server.listen(port, () => resume(Effect.void))
    }),
    () =>
      Effect.sync(() => {
        server.close()
        endAll() // a closed server looks for late requests no more, and one of them would keep the process
      })
  )
  return Effect.sync(() => {
    ready = true
  })
})
