// What Kubernetes and Prometheus ask: alive, ready to store, and how many runs and agents there are. No token, and nothing that needs one.
// Used by server/server.
import { Effect, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { SqlClient } from "effect/sql"
import { RunStatus } from "../schema/run.ts"
import { jsonApiErrors, problem, routesWith } from "./answer.ts"
import { Assignments } from "./assignments.ts"
import { Blobs } from "./blobs.ts"
import { Commits } from "./commits.ts"
import { rows } from "./database.ts"
import { notFound, Refused } from "./refused.ts"

const Count = Schema.Struct({ status: RunStatus, n: Schema.Int })

export const healthRoutes = HttpRouter.addAll(Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const assignments = yield* Assignments
  const blobs = yield* Blobs
  const commits = yield* Commits
  const route = routesWith(problem)
  const ok = HttpServerResponse.text("ok\n")

  return [
    route("GET", "/healthz", () => Effect.succeed(ok)),
    route("GET", "/readyz", () =>
      Effect.gen(function*() {
        if (yield* commits.stopped) return yield* new Refused({ status: 503, error: "stopping", message: "The server is about to stop." })
        yield* sql`SELECT 1`
        yield* blobs.probe
        return ok
      })),
    route("GET", "/metrics", () =>
      Effect.gen(function*() {
        const counts = yield* rows(Count)(sql`SELECT status, count(*) AS n FROM runs GROUP BY status`)
        const lines = [
          "# HELP agent_job_server_runs Runs by status.",
          "# TYPE agent_job_server_runs gauge",
          ...RunStatus.literals.map((status) => `agent_job_server_runs{status="${status}"} ${counts.find((count) => count.status === status)?.n ?? 0}`),
          "# HELP agent_job_server_agents Agents that asked for work in the last 90 seconds.",
          "# TYPE agent_job_server_agents gauge",
          `agent_job_server_agents ${yield* assignments.connected}`,
          "# HELP agent_job_server_resident_bytes Memory of the process.",
          "# TYPE agent_job_server_resident_bytes gauge",
          `agent_job_server_resident_bytes ${process.memoryUsage.rss()}`
        ]
        return HttpServerResponse.text(`${lines.join("\n")}\n`, { contentType: "text/plain; version=0.0.4; charset=utf-8" })
      })),
    routesWith(jsonApiErrors)("*", "/api/v2/*", () => Effect.fail(notFound())),
    route("*", "/*", () => Effect.fail(notFound()))
  ]
}))
