// What others ask of a controller: /healthz (the process answers), /readyz (its caches are in step), /metrics (Prometheus).
// On a port of its own, never authenticated, never traced, and with nothing secret in it.
// Used by controller/controller.
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer } from "effect"
import { HttpMiddleware, HttpRouter, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { createServer } from "node:http"

/** `ready` answers with what is missing, or nothing. */
export const Health = (port: number, ready: Effect.Effect<ReadonlyArray<string>>) =>
  Layer.mergeAll(
    PrometheusMetrics.layerHttp(),
    HttpRouter.add("GET", "/healthz", HttpServerResponse.text("ok")),
    HttpRouter.add("GET", "/readyz", Effect.map(ready, (missing) =>
      missing.length === 0 ? HttpServerResponse.text("ok") : HttpServerResponse.text(`waits for ${missing.join(", ")}`, { status: 503 })))
  ).pipe(
    (routes) => HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }),
    Layer.provide(NodeHttpServer.layer(createServer, { port, gracefulShutdownTimeout: "1 second" })),
    Layer.provide(Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true))
  )
