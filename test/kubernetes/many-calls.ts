// A program that sends many requests to an API server, a few at a time, on a machine with little time for it.
// Bundled and run by connections.test.ts, since the bundle is what users run.
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Schedule } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { jobs } from "../../src/kubernetes/kinds.ts"

const { CA: ca = "", SERVER: server = "" } = process.env
const credentials = { server, namespace: "team", tls: { ca }, headers: Effect.succeed({}), refresh: Effect.void }

/**
 * Keeps the process as busy as a pass over another task does: an answer has arrived before Node has looked whether its request was sent.
 */
const busy = Effect.repeat(
  Effect.sync(() => {
    const until = performance.now() + 5
    while (performance.now() < until);
  }),
  Schedule.spaced(0)
)

const calls = Effect.gen(function*() {
  const kubernetes = yield* Kubernetes
  yield* Effect.forkScoped(busy)
  yield* Effect.forEach(Array.from({ length: 200 }), () => kubernetes.create(jobs, { metadata: { name: "demo", namespace: "team" } }), {
    concurrency: 4,
    discard: true
  })
})

NodeRuntime.runMain(Effect.scoped(Effect.provide(calls, Layer.fresh(Kubernetes.layer(Effect.succeed(credentials))))))
