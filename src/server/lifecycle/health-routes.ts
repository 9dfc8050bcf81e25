// The routes for Kubernetes and Prometheus: alive, ready to store, and figures of runs, agents, states, disk, certificate and version. They
// need no token.
// Used by server/lifecycle/server.
import { Clock, Effect, Option, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { SqlClient } from "effect/sql"
import { X509Certificate } from "node:crypto"
import { statfs } from "node:fs/promises"
import { RunStatus } from "../../schema/api/run.ts"
import { Timestamp } from "../../schema/names.ts"
import { buildInfo, programVersion } from "../../schema/program-version.ts"
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
/** How far a stage that is not over came: no agent has it, one has taken it, its worker has begun, or the agent that has it is not heard. */
const progresses = ["waiting", "taken", "started", "silent"] as const
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
const gauge = (name: string, help: string, value: number, labels = "") => [
  `# HELP ${name} ${help}`,
  `# TYPE ${name} gauge`,
  `${name}${labels} ${value}`
]

const validity = ({ cert }: Pair) => {
  const { validFromDate, validToDate } = new X509Certificate(cert)
  return [
    ...gauge(
      "agent_job_server_certificate_not_before_timestamp_seconds",
      "From when the certificate is valid that the server shows, in Unix time.",
      validFromDate.getTime() / 1000
    ),
    ...gauge(
      "agent_job_server_certificate_not_after_timestamp_seconds",
      "Until when the certificate is valid that the server shows, in Unix time.",
      validToDate.getTime() / 1000
    )
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
  const metrics = yield* sharedVerdict(
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
        ...gauge(buildInfo.name, buildInfo.description, 1, `{version="${programVersion}"}`),
        "# HELP agent_job_server_runs Runs by status.",
        "# TYPE agent_job_server_runs gauge",
        ...RunStatus.literals.map((status) =>
          `agent_job_server_runs{status="${status}"} ${counts.find((count) => count.status === status)?.n ?? 0}`
        ),
        ...gauge(
          "agent_job_server_oldest_run_at_work_seconds",
          "Since the worker began that has been at work on a run for the longest; 0 if none is.",
          ageSeconds(open.flatMap(({ since }) => since ?? []).sort()[0] ?? null, yield* Clock.currentTimeMillis)
        ),
        "# HELP agent_job_server_stages Stages that are not over: waiting for an agent (of the plans of a workspace that hold nothing, ten at most), taken by one, started by their worker, or taken or started and silent, since the agent that has them was not heard in the last 90 seconds.",
        "# TYPE agent_job_server_stages gauge",
        ...progresses.map((progress) => `agent_job_server_stages{progress="${progress}"} ${inProgress(progress)}`),
        ...gauge("agent_job_server_states_in_doubt", "States that wait for a person, and their workspaces with them.", doubts),
        ...gauge(
          "agent_job_server_agents",
          "Agents that asked for work in the last 90 seconds, or said that they have as much as they take.",
          connected(present(null))
        ),
        ...gauge(
          "agent_job_server_stages_unasked",
          "Stages that wait, while no agent that may take them was heard in the last 90 seconds.",
          unasked
        ),
        ...gauge(
          "agent_job_server_stages_drained",
          "Stages that wait for agents that are drained, or with one.",
          open.reduce((sum, { heldBack }) => sum + heldBack, drained)
        ),
        ...gauge(
          "agent_job_server_idle_pool_seconds",
          "For how long runs have waited for a pool of which none is known to be at work: of the pool of which that is longest; 0 if there is none.",
          yield* lookAtIdle
        ),
        ...gauge("agent_job_server_resident_bytes", "Memory of the process.", process.memoryUsage.rss()),
        ...gauge(
          "agent_job_server_takes_files",
          "1 while the data directory takes a file of the size of a state, which a quota may keep it from though there seems to be room.",
          takesFiles
        ),
        ...(pair === undefined ? [] : validity(pair)),
        ...Option.match(free, {
          onNone: () => [],
          onSome: ({ bavail, blocks, bsize, ffree, files }) => [
            ...(blocks === 0
              ? []
              : gauge("agent_job_server_disk_free_bytes", "Room that is left for the data directory, if it has a limit.", bavail * bsize)),
            ...(files === 0
              ? []
              : gauge("agent_job_server_disk_free_files", "How many files its file system still has room for, if that has a limit.", ffree))
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
      () => Effect.map(metrics, (text) => HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4; charset=utf-8" }))
    )
  ]
}))
