import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { runPath } from "../../src/schema/run.ts"
import { statePath } from "../../src/schema/state.ts"
import { tfePath } from "../../src/schema/tfe-api.ts"
import { layerDatabase } from "../../src/server/database.ts"
import { agent, archiveOf, ask, directory, failed, person, planWith, serve, worker } from "./live-server.ts"

/** They have a row for each run, stage, state or word of them, and in a year there are a hundred thousand. */
const growing = ["runs", "stages", "configurationVersions", "stateVersions", "taskTokens", "logChunks", "logTails", "effects", "evidence", "rescues"]

/** Has but those that nobody has taken. */
const small = "stagesToOffer"

/** Read in the order of an index and not to their end, or counted in an index alone. */
const bounded = /\bLIMIT\b|^SELECT status, count\(\*\) AS n FROM runs GROUP BY status$/u

const state = (serial: number) => ({ version: 4, serial, lineage: "l", outputs: {}, resources: [] })

/** What people, agents and workers do with the server, so that it says all that it says to the database. */
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
  yield* applier.result(failed("Lost"))
  yield* me.as("POST", statePath.import("demo"))
  yield* me.as("POST", statePath.rescue("demo"), { by: "me" })
  const { runId } = yield* agent(url).take
  yield* me.act(runId, "cancel")
  yield* agent(url).cancellations()
  for (const path of [runPath.list, `${runPath.list}?workspace=demo`, tfePath.run(id), `/api/v2/workspaces/${workspaceId}/runs`, "/api/v2/organizations/default/runs/queue", "/api/v2/organizations/default/capacity", statePath.state("demo"), "/metrics"]) {
    expect((yield* me.as("GET", path)).status).toBe(200)
  }
  expect((yield* ask((yield* me.view(id)).stages[1]!.logUrl, undefined)).status).toBe(200)
})

it.live("nothing that the server is asked makes it read a table that grows from end to end", () =>
  Effect.gen(function*() {
    const said = new Set<string>()
    const made = yield* directory
    const url = yield* serve(made).pipe(Effect.provideService(Statement.CurrentTransformer, (statement) => Effect.sync(() => {
      said.add(statement.compile()[0])
      return statement
    })))
    yield* used(url)
    const sql = yield* Effect.provide(SqlClient.SqlClient, yield* Layer.build(layerDatabase(":memory:")))
    const statements = [...said].filter((text) => /^\s*(SELECT|INSERT|UPDATE|DELETE)/u.test(text) && !text.includes("effect_sql_migrations") && !bounded.test(text))
    expect(statements.length).toBeGreaterThan(50)
    const scans = yield* Effect.forEach(statements, (text) => Effect.map(sql.unsafe<{ readonly detail: string }>(`EXPLAIN QUERY PLAN ${text}`), (steps) =>
      steps.flatMap(({ detail }) => growing.includes(/^SCAN (\w+)/u.exec(detail)?.[1] ?? "") && !detail.endsWith(small) ? [`${detail}: ${text}`] : [])))
    expect(scans.flat()).toEqual([])
  }))
