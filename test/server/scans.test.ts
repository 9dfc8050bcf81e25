import { expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { globSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { auditPath } from "../../src/schema/api/audit.ts"
import { poolsPath } from "../../src/schema/api/pools.ts"
import { runPath } from "../../src/schema/api/run.ts"
import { statePath } from "../../src/schema/api/state.ts"
import { taskPath } from "../../src/schema/api/task-api.ts"
import { Sha256 } from "../../src/schema/names.ts"
import type { StageResult } from "../../src/schema/task/stage-result.ts"
import { LittleRoom } from "../../src/server/lifecycle/little-room.ts"
import { Retention } from "../../src/server/lifecycle/retention.ts"
import { stores } from "../../src/server/lifecycle/server.ts"
import { RunQueue } from "../../src/server/run/run-queue.ts"
import { Stages } from "../../src/server/run/stages.ts"
import { layerDatabase } from "../../src/server/store/database.ts"
import { instantAfter } from "../../src/server/store/instants.ts"
import { NamedBlobs } from "../../src/server/store/named-blobs.ts"
import {
  agent,
  archiveOf,
  ask,
  directory,
  evicted,
  failed,
  optionsIn,
  person,
  planWith,
  serve,
  sha256,
  state,
  succeeded,
  teamToken,
  withChanges,
  worker
} from "./live-server.ts"
import { diskWith } from "./room.ts"
import { entry, made, planned } from "./run/applying.ts"

/**
 * What stays small: what the passes note and have yet to do, how many runs have each status, which files nothing names, the oldest plans, what was
 * sent lately.
 */
const small = ["retentionPasses", "logsToRemove", "runCounts", "unnamed", "oldest", "sent"]

/** The tables of which a workspace or a pool has no more than so many rows. */
const limited = ["agents", "evidence", "variables"]

/** What a row of a growing table is found by that has few others beside it, however long the server runs. */
const finding =
  /^(?:id|rowid|runId|stageId|hash|sha256|archiveSha256|planSha256|configurationVersionId|rescueId|seq|holder|lockHolder|name|agent)=\?|^workspaceId=\? AND /u

/** The indexes that have nothing but what is not over, or is still kept. */
const ofWhatIsOpen =
  /INDEX (?:stagesToOffer|stagesOfAgents|stagesOnFeed|rescuesOpen|rescuesPending|runsPending|runsPlanning|runsSaved|stateVersionsKept)\b/u

/** The newest of all or of a workspace, up to a limit. */
const newestFirst =
  /WHERE (?:\((?:TRUE|\(FALSE OR [^()]+ GLOB \?\)) AND )?(?:(?:runs\.)?workspaceId = \?|(?:runs\.)?seq < \?)[^()]*\)? ORDER BY [\w ,.]*\bseq DESC LIMIT /u

/** Asks for statuses of runs that are not over. */
const ofOpenRuns = /\bstatus (?:= 'pending'|IN \('pending', 'planning', 'planned', 'confirmed'\))|"status" IN \(\?(?:,\?){0,4}\)/u

/** A step of finding the newest runs of a team's workspaces, which reads the numbers of these alone, all of them, from an index. */
const isOfTeam = (step: string, text: string) =>
  (step === "SCAN workspaces" || step.startsWith("SEARCH theirs USING COVERING INDEX ")) &&
  text.includes("(SELECT theirs.seq FROM workspaces CROSS JOIN runs AS theirs ")

/** Reports whether a scan is acceptable: one in the order of an index up to a limit, and those of all workspaces. */
const isBoundedScan = (step: string, text: string) =>
  ofWhatIsOpen.test(step) ||
  text === "SELECT * FROM workspaces ORDER BY name" || // by the hourly pass of the retention
  (step.includes(" INDEX ") &&
    /\bLIMIT\b|^SELECT pool, count\(\*\) AS n FROM workspaces WHERE (?:TRUE|\(FALSE OR .+ GLOB \?\)) GROUP BY pool$/u.test(text))

/** Reports whether a search is acceptable: one that finds a few rows. A plan alone does not tell that, since it names every use of an index so. */
const isBoundedSearch = (step: string, table: string, found: string, text: string) =>
  finding.test(found) || ofWhatIsOpen.test(step) || limited.includes(table) || newestFirst.test(text) ||
  (found.startsWith("status=?") && ofOpenRuns.test(text)) || found === "rowid>? AND rowid<?" // of the audit trail, so many entries at a time

/** Reports whether a step of a plan reads a part of a table that grows with the years: with what is over, or with all of a workspace. */
const isUnbounded = (step: string, text: string) => {
  const [, how, table = "", found] = /^(SCAN|SEARCH) (\w+)(?! ROW)(?: EXISTS)?(?: USING .*?(?:\((.*)\))?)?$/u.exec(step) ?? []
  if (how === undefined || small.includes(table) || isOfTeam(step, text)) return false
  return how === "SCAN" ? !isBoundedScan(step, text) : found !== undefined && !isBoundedSearch(step, table, found, text)
}

const oneLine = (text: string) => text.replace(/\s+/gu, " ")

/** How each statement begins that the server has, but for those that find nothing: a new one is to be among those that are sent here. */
const beginnings = globSync("src/server/**/*.ts").filter((file) => !file.endsWith("migrations.ts")).flatMap((file) =>
  [...readFileSync(file, "utf8").matchAll(/sql(?:<[^`]*>)?`\s*((?:SELECT|INSERT|UPDATE|DELETE)[^`$]*)/gu)].map(([, text = ""]) =>
    oneLine(text)
  )
).filter((text) => !/^INSERT INTO \w+ $/u.test(text))

/** The end of an apply of which nobody heard more, though it had sent a state. */
const lostWith = (digest?: string): StageResult => ({
  ...failed("Lost"),
  reason: "NodeLost",
  statePushed: true,
  ...(digest !== undefined && { stateDigest: Sha256.make(digest) })
})

/** Makes a run of a workspace that is applying, and returns its worker and its lock. */
const applyingIn = Effect.fnUntraced(function*(url: string, name: string) {
  const id = yield* person(url).start(name, { "auto-apply": true })
  yield* planWith(url, `the plan of ${name}`, succeeded(withChanges), planned)
  const applier = worker(url, yield* agent(url).take)
  return { id, applier, epoch: (yield* applier.lock("a")).json.epoch }
})

/** What people do who bring states and open locks, and with variables, saved plans and runs that do not stop. */
const usedByPeople = Effect.fnUntraced(function*(url: string) {
  const me = person(url)
  const workspaceId = yield* me.workspace("theirs")
  const variables = `/api/v2/workspaces/${workspaceId}/vars`
  const { json: { data: variable } } = yield* me.as("POST", variables, { data: { attributes: { key: "a", value: "b" } } })
  yield* me.as("GET", variables)
  yield* me.as("DELETE", `${variables}/${variable.id}`)
  yield* me.as("POST", statePath.push("theirs"), state(1))
  const { version } = yield* me.state("theirs")
  yield* me.as("GET", `/api/v2/state-versions/${version.id}`)
  yield* me.as("POST", `${statePath.push("theirs")}?replace=${version.id}`, { ...state(2), lineage: "other" })
  const { id } = yield* me.upload(workspaceId, archiveOf({ a: "b" }))
  const { json: { data: saved } } = yield* me.run(workspaceId, { "save-plan": true }, id)
  yield* agent(url).report((yield* agent(url).take).id, evicted)
  yield* me.act(saved.id, "cancel")
  const endless = yield* applyingIn(url, "endless")
  yield* me.as("POST", statePath.unlock("endless"), { by: "me@here", lock: "a" })
  yield* me.act(endless.id, "cancel")
  yield* me.act(endless.id, "force-cancel")
})

/** What the end of an apply leaves in doubt, and what is found out of it: an import, and a state that comes late. */
const usedInDoubt = Effect.fnUntraced(function*(url: string) {
  const me = person(url)
  const { applier, epoch } = yield* applyingIn(url, "doubted")
  yield* applier.as("POST", taskPath.effects, { entries: [...made, entry(6, "closed", "")] })
  yield* applier.pushState(state(1), "a", epoch)
  yield* applier.result(lostWith())
  yield* applier.pushState(state(2), "a", epoch)
  yield* me.as("POST", statePath.import("doubted"))
  yield* me.settle("doubted")
  const done = yield* applyingIn(url, "done")
  yield* done.applier.as("POST", taskPath.effects, { entries: made })
  yield* done.applier.unlock("a")
  yield* done.applier.result(succeeded())
})

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
  yield* applier.result(lostWith(sha256(JSON.stringify(state(8)))))
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
    const folder = yield* directory
    const listening = Effect.provideService(Statement.CurrentTransformer, (statement) =>
      Effect.sync(() => {
        said.add(statement.compile()[0])
        return statement
      }))
    const scope = yield* Scope.make()
    const url = yield* serve(folder).pipe(listening, Scope.provide(scope))
    yield* used(url)
    yield* usedByPeople(url)
    yield* usedInDoubt(url)
    const { id: workspaceId } = (yield* person(url).as("GET", "/api/v2/organizations/default/workspaces/demo")).json.data
    yield* Scope.close(scope, Exit.void)
    yield* Effect.scoped(
      Effect.flatMap(
        // With -1 days, everything has been old for a day.
        Layer.build(stores({ ...optionsIn(folder), keep: { days: -1, runs: 1, states: 1 } })),
        (context) =>
          Effect.gen(function*() {
            const { pass } = yield* Retention
            yield* (yield* SqlClient.SqlClient)`INSERT INTO retentionPasses (at) VALUES (${yield* instantAfter(-7 * 3600 * 1000)})`
            yield* pass()
            writeFileSync(join(folder, "data", "blobs", sha256("unnamed")), "unnamed")
            yield* (yield* NamedBlobs).sweep(0)
            yield* (yield* Stages).newestOver(workspaceId)
            yield* (yield* RunQueue).oldestAhead(workspaceId)
            yield* (yield* RunQueue).advanceAll
            yield* diskWith(0)
            yield* (yield* LittleRoom).tell
          }).pipe(Effect.provide(context), listening)
      )
    )
    expect(beginnings.filter((beginning) => ![...said].some((text) => oneLine(text).includes(beginning)))).toEqual([])
    const sql = yield* Effect.provide(SqlClient.SqlClient, yield* Layer.build(layerDatabase(":memory:")))
    const statements = [...said].filter((text) =>
      /^\s*(SELECT|INSERT|UPDATE|DELETE)/u.test(text) && !text.includes("effect_sql_migrations")
    )
    expect(statements.filter((text) => text.startsWith("UPDATE") && text.includes("removedAt = ?"))).toHaveLength(2)
    const ahead = statements.filter((text) => text.includes("status = 'planning'"))
    expect(ahead).toHaveLength(2)
    const waiting = statements.filter((text) =>
      text.includes("workspaceId = ?") && text.includes("status = 'pending'") && !ahead.includes(text)
    )
    expect(waiting).toHaveLength(4)
    const open = statements.filter((text) => text.includes("OR runs.id IN (SELECT stages.runId FROM rescues"))
    expect(open).toHaveLength(4)
    const scans = yield* Effect.forEach(
      statements,
      (text) =>
        Effect.map(
          sql.unsafe<{ readonly detail: string }>(`EXPLAIN QUERY PLAN ${text}`),
          (steps) => steps.flatMap(({ detail }) => isUnbounded(detail, text) ? [`${detail}: ${text}`] : [])
        )
    )
    expect(scans.flat()).toEqual([])
    const indexes = [
      ...[...waiting, ...ahead].map((text) => ({ text, index: "COVERING INDEX runsPending" })),
      ...ahead.map((text) => ({ text, index: "INDEX runsPlanning" })),
      ...open.map((text) => ({ text, index: "INDEX runsByStatus (status=? AND seq<?)" }))
    ]
    for (const { index, text } of indexes) {
      expect((yield* sql.unsafe<{ readonly detail: string }>(`EXPLAIN QUERY PLAN ${text}`)).map(({ detail }) => detail)).toContainEqual(
        expect.stringContaining(index)
      )
    }
  }))
