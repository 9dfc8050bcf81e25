// Answers the kubelet whether this process has the task: of two Pods of one Job, the Job controller ends the one that is not ready.
// Always holds: 200 only between the claim and the end of the process.
// Used by worker/worker.ts.
import { createServer } from "node:http"
import { Effect } from "effect"
import { invalid, type StageFailed } from "./stage-failed.ts"

/** Listens until the scope closes. The returned effect makes it answer 200 from then on. */
export const serveReadiness = Effect.fnUntraced(function*(port: number) {
  let ready = false
  const server = createServer((request, response) => {
    const known = request.url === "/readyz"
    response.writeHead(known && ready ? 200 : known ? 503 : 404, { connection: "close" }).end()
  })
  yield* Effect.acquireRelease(
    Effect.callback<void, StageFailed>((resume) => {
      server.once("error", () => resume(Effect.fail(invalid(`Port ${port} of the Pod is in use; nothing else in it may listen there.`))))
      server.listen(port, () => resume(Effect.void))
    }),
    () => Effect.sync(() => server.close())
  )
  return Effect.sync(() => { ready = true })
})
