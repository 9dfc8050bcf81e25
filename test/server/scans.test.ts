import { expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { auditPath } from "../../src/schema/api/audit.ts"
import { poolsPath } from "../../src/schema/api/pools.ts"
import { runPath } from "../../src/schema/api/run.ts"
import { statePath } from "../../src/schema/api/state.ts"
import { Sha256 } from "../../src/schema/names.ts"
import { Retention } from "../../src/server/lifecycle/retention.ts"
import { stores } from "../../src/server/lifecycle/server.ts"
import { layerDatabase } from "../../src/server/store/database.ts"
import { instantAfter } from "../../src/server/store/instants.ts"
import { agent, archiveOf, ask, directory, failed, optionsIn, person, planWith, serve, sha256, teamToken, worker } from "./live-server.ts"

/** The tables that grow with the number of runs, stages, states, agents and workspaces, and with what is done, to a hundred thousand rows in a year. */
const growing = [
  "runs",
  "stages",
  "configurationVersions",
  "stateVersions",
  "taskTokens",
  "logChunks",
  "logTails",
  "effects",
  "evidence",
  "rescues",
  "agents",
  "workspaces",
  "audit"
]

/**
 * Reports whether a scan is acceptable: one of the stages that are not over or of the rescues that wait, one in the order of an index
 * up to a limit, one that counts runs or workspaces in an index alone, that of all workspaces by the hourly pass of the retention, and one
 * that counts workspaces of which a token is for some.
 */
const isBounded = (step: string, text: string) =>
  /(?:stagesToOffer|stagesOfAgents|rescuesPending)$/u.test(step) ||
  text === "SELECT * FROM workspaces ORDER BY name" ||
  (step.includes(" INDEX ") &&
    /\bLIMIT\b|^SELECT pool, count\(\*\) AS n FROM workspaces WHERE \(FALSE OR .+ GLOB \?\) GROUP BY pool$|^SELECT (?:status, count\(\*\) AS n FROM runs GROUP BY status|pool, count\(\*\) AS n FROM workspaces WHERE TRUE GROUP BY pool)$/u
      .test(
        text
      ))

/** Reports whether the statement is of a migration, which runs once over a table that an older version wrote. */
const isOfMigration = (text: string) =>
  text.includes("effect_sql_migrations") ||
  text.startsWith("UPDATE runs SET workingDirectory = ") ||
  text.startsWith("UPDATE effects SET journalBytes = ") ||
  text.startsWith("INSERT INTO agentsOfPools ") ||
  /^UPDATE (?:evidence SET (?:decided = 1 WHERE EXISTS|storedVersionId = \()|workspaces SET terraformVersion = 'latest' WHERE length)/u
    .test(text)

const state = (serial: number) => ({ version: 4, serial, lineage: "l", outputs: {}, resources: [] })

/** Does what people, agents and workers do with the server, so that it sends all of its statements to the database. */
const used = Effect.fnUntraced(function*(url: string) {
  const me = person(url)
  const workspaceId = yield* me.workspace("demo")
  const id = yield* me.start("demo", { "auto-apply": true })
  yield* me.upload(workspaceId, archiveOf({ a: "b" }))
  yield* planWith(url)
  const apply = yield* agent(url).take
  const applier = worker(url, apply)
  yield* applier.log(0, "Applying…\n")
  const { epoch } = (yield* applier.lock("a")).json
  for (let serial = 1; serial < 9; serial++) yield* applier.pushState(state(serial), "a", epoch)
  for (let serial = 1; serial < 12; serial++) yield* applier.pushState(state(serial), "a stranger's", epoch)
  yield* me.run(workspaceId)
  yield* applier.result({ ...failed("Lost"), statePushed: true, stateDigest: Sha256.make(sha256(JSON.stringify(state(8)))) })
  yield* me.as("POST", statePath.import("demo"))
  yield* me.settle("demo")
  const { runId } = yield* agent(url).take
  yield* me.act(runId, "cancel")
  yield* agent(url).cancellations()
  for (
    const path of [
      runPath.list,
      `${runPath.list}?workspace=demo`,
      `${runPath.list}?open=true&before=${id}`,
      `${runPath.list}?open=true&workspace=demo&before=${id}`,
      `/api/v2/runs/${id}`,
      "/api/v2/organizations/default/workspaces?search[name]=demo",
      `/api/v2/workspaces/${workspaceId}/runs`,
      "/api/v2/organizations/default/runs/queue",
      "/api/v2/organizations/default/capacity",
      statePath.state("demo"),
      poolsPath,
      auditPath.all,
      auditPath.workspace("demo"),
      auditPath.run(id),
      "/metrics"
    ]
  ) {
    expect((yield* me.as("GET", path)).status).toBe(200)
    expect((yield* person(url, teamToken).as("GET", path)).status).toBe(path === auditPath.all ? 403 : 200)
  }
  expect((yield* ask((yield* me.view(id)).stages[1]!.logUrl, undefined)).status).toBe(200)
})

it.live("nothing that the server is asked makes it read a table that grows from end to end, or what waits in other workspaces", () =>
  Effect.gen(function*() {
    const said = new Set<string>()
    const made = yield* directory
    const listening = Effect.provideService(Statement.CurrentTransformer, (statement) =>
      Effect.sync(() => {
        said.add(statement.compile()[0])
        return statement
      }))
    const scope = yield* Scope.make()
    const url = yield* serve(made).pipe(listening, Scope.provide(scope))
    yield* used(url)
    yield* Scope.close(scope, Exit.void)
    yield* Effect.scoped(
      Effect.flatMap(
        // With -1 days, everything has been old for a day.
        Layer.build(stores({ ...optionsIn(made), keep: { days: -1, runs: 1, states: 1 } })),
        (context) =>
          Effect.gen(function*() {
            const { pass } = yield* Retention
            yield* (yield* SqlClient.SqlClient)`INSERT INTO retentionPasses (at) VALUES (${yield* instantAfter(-7 * 3600 * 1000)})`
            yield* pass()
          }).pipe(Effect.provide(context), listening)
      )
    )
    const sql = yield* Effect.provide(SqlClient.SqlClient, yield* Layer.build(layerDatabase(":memory:")))
    const statements = [...said].filter((text) => /^\s*(SELECT|INSERT|UPDATE|DELETE)/u.test(text) && !isOfMigration(text))
    expect(statements.filter((text) => text.startsWith("UPDATE") && text.includes("removedAt = ?"))).toHaveLength(2)
    const waiting = statements.filter((text) => text.includes("runs.workspaceId = ?") && text.includes("status = 'pending'"))
    expect(waiting).toHaveLength(2)
    const open = statements.filter((text) => text.includes("OR runs.id IN (SELECT stages.runId FROM rescues"))
    expect(open).toHaveLength(4)
    const scans = yield* Effect.forEach(
      statements,
      (text) =>
        Effect.map(
          sql.unsafe<{ readonly detail: string }>(`EXPLAIN QUERY PLAN ${text}`),
          (steps) =>
            steps.flatMap(({ detail }) =>
              growing.includes(/^SCAN (\w+)/u.exec(detail)?.[1] ?? "") && !isBounded(detail, text) ? [`${detail}: ${text}`] : []
            )
        )
    )
    expect(scans.flat()).toEqual([])
    const indexes = [
      ...waiting.map((text) => ({ text, index: "COVERING INDEX runsPending" })),
      ...open.map((text) => ({ text, index: "INDEX runsByStatus (status=? AND seq<?)" }))
    ]
    for (const { index, text } of indexes) {
      expect((yield* sql.unsafe<{ readonly detail: string }>(`EXPLAIN QUERY PLAN ${text}`)).map(({ detail }) => detail)).toContainEqual(
        expect.stringContaining(index)
      )
    }
  }))
