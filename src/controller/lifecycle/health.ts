// The health endpoints of the controller: /healthz (the process answers), /readyz (its caches are in step), /metrics (Prometheus).
// They have a port of their own, are never authenticated and never traced, and hold nothing secret.
// Used by controller/lifecycle/controller.
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Data, Effect, Layer, Metric } from "effect"
import { HttpMiddleware, HttpRouter, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { createServer } from "node:http"
import { withoutUpgrades } from "../../http/without-upgrades.ts"
import { metrics } from "../../schema/api/metrics.ts"
import { programVersion } from "../../schema/program-version.ts"
import { codeOf } from "../../schema/system-error.ts"

class HealthPortUnusable extends Data.TaggedError("HealthPortUnusable")<{ readonly port: number; readonly cause: unknown }> {
  override get message() {
    const because = codeOf(this.cause) === "EADDRINUSE"
      ? "another program listens there"
      : String(this.cause)
    return `Cannot serve health on port ${this.port} (${because}); give another one with --health-port.`
  }
}

const build = Metric.gauge("agent_job_build_info", { ...metrics.agent_job_build_info, attributes: { version: programVersion } })

/** Serves the endpoints. `ready` returns what is missing; an empty list means that the controller is ready. */
export const Health = (port: number, ready: Effect.Effect<ReadonlyArray<string>>) =>
  Layer.mergeAll(
    Layer.effectDiscard(Metric.update(build, 1)),
    PrometheusMetrics.layerHttp(),
    HttpRouter.add("GET", "/healthz", HttpServerResponse.text("ok")),
    HttpRouter.add(
      "GET",
      "/readyz",
      Effect.map(
        ready,
        (missing) =>
          missing.length === 0 ? HttpServerResponse.text("ok") : HttpServerResponse.text(`waits for ${missing.join(", ")}`, { status: 503 })
      )
    )
  ).pipe(
    (routes) => HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }),
    Layer.provide(NodeHttpServer.layer(() => withoutUpgrades(createServer()), { port, gracefulShutdownTimeout: "1 second" })),
    Layer.provide(Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)),
    Layer.catchTag("ServeError", ({ cause }) => Layer.effectDiscard(Effect.fail(new HealthPortUnusable({ port, cause }))))
  )
