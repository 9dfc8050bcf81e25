// The routes for Kubernetes and Prometheus: alive, ready to store, and figures of runs, agents, states, disk, certificate and version. They
// need no token.
// Used by server/lifecycle/server.
import { Clock, Effect, Option, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { SqlClient } from "effect/sql"
import { X509Certificate } from "node:crypto"
import { statfs } from "node:fs/promises"
import { type MetricName, metrics } from "../../schema/api/metrics.ts"
import { RunStatus } from "../../schema/api/run.ts"
import { Timestamp } from "../../schema/names.ts"
import { programVersion } from "../../schema/program-version.ts"
import { logBeneath, problem, refusedOf, routesWith } from "../access/http-answer.ts"
import { Refused } from "../refused.ts"
import { Agents, connected } from "../run/agents.ts"
import { longestSeconds, lookedAgain, unseen } from "../run/idle-pools.ts"
import { Pools } from "../run/pools.ts"
import { Settings } from "../settings.ts"
import { Blobs } from "../store/blobs.ts"
import { Commits } from "../store/commits.ts"
import { counted, rows } from "../store/database.ts"
import { sharedVerdict } from "../store/shared-verdict.ts"
import { type Pair, ShownPair } from "./certificate.ts"

const Count = Schema.Struct({ status: RunStatus, n: Schema.Int })
const { progress: progresses } = metrics.agent_job_server_stages.labels
const Open = Schema.Struct({
  progress: Schema.Literals(progresses),
  agent: Schema.NullOr(Schema.String),
  agentPool: Schema.NullOr(Schema.String),
  n: Schema.Int,
  heldBack: Schema.Int,
  since: Schema.NullOr(Timestamp)
})

/** Returns the seconds since then; 0 if there is no time, or if it is in the future because the clock was set back. */
const ageSeconds = (since: string | null, now: number) => since === null ? 0 : Math.max(0, Math.floor((now - Date.parse(since)) / 1000))
const family = (name: MetricName, series: ReadonlyArray<readonly [labels: string, value: number]>) => [
  `# HELP ${name} ${metrics[name].description}`,
  `# TYPE ${name} ${metrics[name].type}`,
  ...series.map(([labels, value]) => `${name}${labels} ${value}`)
]
const gauge = (name: MetricName, value: number) => family(name, [["", value]])

const validity = ({ cert }: Pair) => {
  const { validFromDate, validToDate } = new X509Certificate(cert)
  return [
    ...gauge("agent_job_server_certificate_not_before_timestamp_seconds", validFromDate.getTime() / 1000),
    ...gauge("agent_job_server_certificate_not_after_timestamp_seconds", validToDate.getTime() / 1000)
  ]
}

export const healthRoutes = HttpRouter.addAll(Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const agents = yield* Agents
  const blobs = yield* Blobs
  const commits = yield* Commits
  const pools = yield* Pools
  const { dataDir } = yield* Settings
  const shown = yield* ShownPair
  const route = routesWith(problem)
  const ok = HttpServerResponse.text("ok\n")

  let idleness = unseen
  const lookAtIdle = Effect.gen(function*() {
    idleness = lookedAgain(idleness, yield* pools.idle, Number(yield* Clock.monotonicTimeNanos) / 1e9)
    return longestSeconds(idleness)
  })

  /** The text is shared, because anybody may ask for it without a token: the rows are counted only now and then. */
  const shownMetrics = yield* sharedVerdict(
    Effect.gen(function*() {
      const counts = yield* rows(Count)(sql`SELECT status, n FROM runCounts`)
      const doubts = yield* counted(sql`SELECT count(*) AS n FROM rescues WHERE settledAt IS NULL`)
      const open = yield* rows(Open)(
        sql`SELECT CASE WHEN startedAt IS NOT NULL THEN 'started' WHEN acknowledgedAt IS NOT NULL THEN 'taken' ELSE 'waiting' END AS progress,
          agent, agentPool, count(*) AS n, sum(acknowledgedAt IS NOT NULL AND waitReason IS 'Draining') AS heldBack, min(startedAt) AS since
          FROM stages WHERE endedAt IS NULL GROUP BY 1, 2, 3`
      )
      const present = yield* agents.present
      const silent = yield* Effect.filter(
        open,
        (of) => Effect.map(pools.silentSince(of), (since) => of.progress !== "waiting" && since !== undefined)
      )
      const inProgress = (progress: string) =>
        open.reduce((sum, of) => (silent.includes(of) ? "silent" : of.progress) === progress ? sum + of.n : sum, 0)
      const { drained, unasked } = yield* pools.untaken
      const takesFiles = yield* Effect.match(blobs.probe, { onFailure: () => 0, onSuccess: () => 1 })
      const pair = shown()
      const free = yield* Effect.option(Effect.tryPromise(() => statfs(dataDir)))
      const lines = [
        ...family("agent_job_build_info", [[`{version="${programVersion}"}`, 1]]),
        ...family(
          "agent_job_server_runs",
          RunStatus.literals.map((status) => [`{status="${status}"}`, counts.find((count) => count.status === status)?.n ?? 0])
        ),
        ...gauge(
          "agent_job_server_oldest_run_at_work_seconds",
          ageSeconds(open.flatMap(({ since }) => since ?? []).sort()[0] ?? null, yield* Clock.currentTimeMillis)
        ),
        ...family("agent_job_server_stages", progresses.map((progress) => [`{progress="${progress}"}`, inProgress(progress)])),
        ...gauge("agent_job_server_states_in_doubt", doubts),
        ...gauge("agent_job_server_agents", connected(present(null))),
        ...gauge("agent_job_server_stages_unasked", unasked),
        ...gauge("agent_job_server_stages_drained", open.reduce((sum, { heldBack }) => sum + heldBack, drained)),
        ...gauge("agent_job_server_idle_pool_seconds", yield* lookAtIdle),
        ...gauge("agent_job_server_resident_bytes", process.memoryUsage.rss()),
        ...gauge("agent_job_server_takes_files", takesFiles),
        ...(pair === undefined ? [] : validity(pair)),
        ...Option.match(free, {
          onNone: () => [],
          onSome: ({ bavail, blocks, bsize, ffree, files }) => [
            ...(blocks === 0
              ? []
              : gauge("agent_job_server_disk_free_bytes", bavail * bsize)),
            ...(files === 0
              ? []
              : gauge("agent_job_server_disk_free_files", ffree))
          ]
        })
      ]
      return `${lines.join("\n")}\n`
    })
  )

  const ready = Effect.gen(function*() {
    if (yield* commits.stopped) return yield* new Refused({ status: 503, error: "stopping", message: "The server is about to stop." })
    yield* sql`SELECT 1`
    yield* blobs.probe
  })

  /** The log hears of a change and not of each probe, which may come every second, and from anybody. */
  let failing = false
  const tellFailing = (refused: Refused, requestId: string) =>
    Effect.suspend(() => {
      if (failing) return Effect.void
      failing = refused.beneath !== undefined
      return logBeneath(refused, { requestId })
    })
  const tellReady = Effect.suspend(() => {
    if (!failing) return Effect.void
    failing = false
    return Effect.logInfo("what is stored can be used again")
  })

  return [
    route("GET", "/healthz", () => Effect.succeed(ok)),
    route(
      "GET",
      "/readyz",
      (_, __, requestId) =>
        Effect.matchEffect(Effect.mapError(ready, refusedOf), {
          onFailure: (refused) => Effect.as(tellFailing(refused, requestId), problem(refused)),
          onSuccess: () => Effect.as(tellReady, ok)
        })
    ),
    route(
      "GET",
      "/metrics",
      () => Effect.map(shownMetrics, (text) => HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4; charset=utf-8" }))
    )
  ]
}))
