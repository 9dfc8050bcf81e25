// The audit trail: every change that was made, or may have been, is in it with its request; reads, plain refusals and secrets are not.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Option, Schedule, Schema, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { writeFileSync } from "node:fs"
import { request } from "node:http"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { AuditList, auditPath } from "../../../src/schema/api/audit.ts"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { RunId } from "../../../src/schema/names.ts"
import { Audit, everything } from "../../../src/server/access/audit.ts"
import {
  agent,
  ask,
  directory,
  failed,
  inStores,
  person,
  planWith,
  poolToken,
  serve,
  server,
  succeeded,
  userToken,
  withChanges,
  worker
} from "../live-server.ts"

const trail = (url: string, query = "") =>
  Effect.map(ask(`${url}${auditPath.all}${query}`, userToken), ({ json }) => Schema.decodeUnknownSync(AuditList)(json).entries)

/** Sends half of the body that it announces, and closes the connection once that half is sent. */
const halfOf = (method: string, url: string) =>
  Effect.promise(async () => {
    const sent = request(url, { method, headers: { "content-length": 2000 } }).on("error", () => {})
    await new Promise((done) => sent.write(Buffer.alloc(1000), done))
    sent.destroy()
  })

describe("the audit trail", () => {
  it.live("has every write of a whole run: who, what, on which object, in which request", () =>
    Effect.gen(function*() {
      const made = yield* directory
      writeFileSync(join(made, "user.token"), `# people\n${userToken}   Ada Lovelace\n`)
      const url = yield* serve(made)
      const id = yield* person(url).start("demo")
      yield* planWith(url)
      const applied = yield* person(url).act(id, "apply")
      const apply = yield* agent(url).take
      const applier = worker(url, apply)
      const { epoch } = (yield* applier.lock("a")).json
      yield* applier.log(0, "Applying…\n")
      yield* applier.pushState({ version: 4, serial: 1, lineage: "l" }, "a", epoch)
      yield* applier.unlock("a")
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      const { workspaceId, configurationVersionId } = yield* Effect.map(ask(`${url}/api/v2/runs/${id}`, userToken), ({ json }) => ({
        workspaceId: json.data.relationships.workspace.data.id as string,
        configurationVersionId: json.data.relationships["configuration-version"].data.id as string
      }))
      const entries = yield* trail(url)
      const plan = `${id}.plan.1`
      expect(entries.map(({ action, kind, name, object }) => [`${kind} ${name}`, action, object]).toReversed()).toEqual([
        ["user Ada Lovelace", "POST /api/v2/organizations/:organization/workspaces", workspaceId],
        ["user Ada Lovelace", "POST /api/v2/workspaces/:id/configuration-versions", `${workspaceId}/${configurationVersionId}`],
        [`link ${configurationVersionId}`, "PUT /api/v2/uploads/:id/:secret", configurationVersionId],
        ["user Ada Lovelace", "POST /api/v2/runs", id],
        [expect.stringMatching(/^pool [0-9a-f]{8}$/u), "POST /api/pool/v1/assignments/:id/acknowledge", plan],
        [`task ${plan}`, "PUT /api/task/v1/plan", ""],
        [`task ${plan}`, "POST /api/task/v1/result", ""],
        ["user Ada Lovelace", "POST /api/v2/runs/:id/actions/apply", id],
        [expect.stringMatching(/^pool [0-9a-f]{8}$/u), "POST /api/pool/v1/assignments/:id/acknowledge", apply.id],
        [`task ${apply.id}`, "POST /api/task/v1/state/lock", ""],
        [`task ${apply.id}`, "POST /api/task/v1/state", ""],
        [`task ${apply.id}`, "POST /api/task/v1/state/unlock", ""],
        [`task ${apply.id}`, "POST /api/task/v1/result", ""]
      ])
      expect(entries.find(({ action }) => action.endsWith("actions/apply"))?.requestId).toBe(applied.headers.get("x-request-id"))
      expect(new Set(entries.map(({ requestId }) => requestId)).size).toBe(entries.length)
    }))

  it.live("names the variable of a workspace that was set or deleted, and not its value", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).workspace("demo")
      const set = (key: string) =>
        Effect.map(
          person(url).as("POST", tfePath.variables(id), {
            data: { type: "vars", attributes: { key, value: "a secret", category: "env" } }
          }),
          ({ json }): string => json.data.id
        )
      const [one, two] = [yield* set("ONE"), yield* set("TWO")]
      expect((yield* person(url).as("DELETE", tfePath.variable(id, two))).status).toBe(204)
      const entries = yield* trail(url)
      expect(entries.slice(0, 3).map(({ action, object }) => [action, object])).toEqual([
        ["DELETE /api/v2/workspaces/:id/vars/:variable", `${id}/${two}`],
        ["POST /api/v2/workspaces/:id/vars", `${id}/${two}`],
        ["POST /api/v2/workspaces/:id/vars", `${id}/${one}`]
      ])
      expect(JSON.stringify(entries)).not.toContain("a secret")
    }))

  it.live("has nothing of what was refused or only looked at", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* ask(`${url}/api/v2/runs`, userToken, "POST", { data: {} })
      yield* ask(`${url}/api/v2/runs`, "wrong", "POST", { data: {} })
      yield* ask(`${url}/api/v2/runs/run-none/actions/apply`, userToken, "POST", {})
      yield* ask(`${url}/api/v2/uploads/cv-none/${"0".repeat(64)}`, undefined, "PUT", "x")
      yield* ask(`${url}/api/state/v1/workspaces/none`, userToken)
      yield* agent(url).acquire()
      yield* agent(url).post(poolPath.result("run-none.plan.1"), failed())
      expect(yield* trail(url)).toEqual([])
    }))

  it.live("has a state that was refused and left as evidence", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo", { "auto-apply": true })
      yield* planWith(url)
      const apply = yield* agent(url).take
      const before = (yield* trail(url)).length
      expect((yield* worker(url, apply).pushState({ version: 4, serial: 1, lineage: "l" }, "a", 1)).status).toBe(409)
      const entries = yield* trail(url)
      expect([entries.length, entries[0]?.name, entries[0]?.action]).toEqual([
        before + 1,
        apply.id,
        "POST /api/task/v1/state (kept as evidence)"
      ])
    }))

  it.live("gives the entries of one run, and of one workspace with its uploads and runs, and 404 for what is not there", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const id = yield* me.start("demo")
      yield* planWith(url)
      const other = yield* me.start("other")
      yield* me.act(other, "cancel")
      yield* me.act(id, "discard")
      const last = (path: string) => path.split("/").at(-1)
      const actions = (path: string) =>
        Effect.map(
          ask(url + path, userToken),
          ({ json }) => Schema.decodeUnknownSync(AuditList)(json).entries.map(({ action }) => last(action)).toReversed()
        )
      const ofRun = ["runs", "acknowledge", "plan", "result", "discard"]
      expect(yield* actions(auditPath.run(id))).toEqual(ofRun)
      expect(yield* actions(auditPath.workspace("demo"))).toEqual(["workspaces", "configuration-versions", ":secret", ...ofRun])
      expect(yield* actions(auditPath.workspace("other"))).toEqual([
        "workspaces",
        "configuration-versions",
        ":secret",
        "runs",
        "cancel"
      ])
      for (const path of [auditPath.run("run-none"), auditPath.workspace("none")]) {
        expect((yield* ask(url + path, userToken)).status).toBe(404)
      }
    }))

  it.effect("is given a hundred entries at a time, and says where the older ones begin; of one run, few are looked for at once, and none that are older than the run", () =>
    inStores(
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const { page } = yield* Audit
        expect(yield* page(everything, Option.none())).toEqual({ entries: [] })
        yield* sql`WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < 45000)
          INSERT INTO audit (seq, at, kind, name, action, object, requestId)
          SELECT seq, CASE WHEN seq < 30000 THEN '2026-01-31T12:00:00Z' ELSE '2026-01-31T13:00:00Z' END, 'user', 'Ada', 'POST', CASE WHEN seq IN (1, 30000) THEN 'run-a' ELSE 'run-b' END, 'req-1' FROM n`
        const seqs = ({ entries, older }: typeof AuditList.Type) => [entries.at(0)?.seq, entries.at(-1)?.seq, older]
        expect(seqs(yield* page(everything, Option.none()))).toEqual([45_000, 44_901, 44_901])
        expect(seqs(yield* page(everything, Option.some(44_901)))).toEqual([44_900, 44_801, 44_801])
        expect(seqs(yield* page(everything, Option.some(101)))).toEqual([100, 1, undefined])
        const made = (createdAt: string) => ({ run: { id: RunId.make("run-a"), createdAt } })
        const rare = (before: number) => page(made("2026-01-31T12:00:00Z"), Option.some(before))
        expect(seqs(yield* page(made("2026-01-31T12:59:59Z"), Option.some(90_000)))).toEqual([30_000, 30_000, undefined])
        expect(seqs(yield* rare(90_000))).toEqual([30_000, 30_000, 25_001])
        expect(seqs(yield* rare(25_001))).toEqual([undefined, undefined, 5001])
        expect(seqs(yield* rare(5001))).toEqual([1, 1, undefined])
      })
    ))

  it.live("has what was broken off in its midst, since nobody heard whether it was done", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).workspace("demo")
      const { attributes } =
        (yield* person(url).as("POST", tfePath.configurationVersions(id), { data: { type: "configuration-versions", attributes: {} } }))
          .json.data
      yield* halfOf("PUT", attributes["upload-url"])
      const entries = yield* Effect.repeat(trail(url), { until: (entries) => entries.length === 3, schedule: Schedule.spaced("10 millis") })
        .pipe(Effect.timeout("30 seconds"))
      expect(entries[0]?.action).toBe("PUT /api/v2/uploads/:id/:secret (broken off)")
    }))

  it.live("is read page by page, newest first", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* Effect.forEach(Array.from({ length: 102 }, (_, at) => at), (at) => person(url).workspace(`w${at}`), { concurrency: 8 })
      const [first, second] = [yield* trail(url), yield* trail(url, "?before=3")]
      expect([first.length, first[0]?.seq, first.at(-1)?.seq, second.map(({ seq }) => seq)]).toEqual([100, 102, 3, [2, 1]])
    }))

  it.live("holds no token and no value of a variable", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const url = yield* serve(made)
      const id = yield* person(url).workspace("demo")
      yield* person(url).as("POST", `/api/v2/workspaces/${id}/vars`, {
        data: { attributes: { key: "password", value: "hunter2-hunter2", sensitive: true } }
      })
      yield* person(url).start("demo")
      const { taskToken } = yield* planWith(url)
      const text = JSON.stringify(yield* trail(url))
      for (const secret of ["hunter2-hunter2", userToken, poolToken, taskToken]) expect(text).not.toContain(secret)
    }))

  it.live("says that a change was made when it cannot take the entry of it", () =>
    Effect.gen(function*() {
      const made = yield* directory
      yield* Effect.scoped(serve(made))
      const database = new DatabaseSync(join(made, "data", "agent-job.sqlite"))
      database.exec("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
      database.close()
      const url = yield* serve(made)
      const answer = yield* ask(url + tfePath.workspaces("default"), userToken, "POST", { data: { attributes: { name: "demo" } } })
      expect([answer.status, answer.json.errors[0].detail]).toEqual([
        500,
        expect.stringMatching(/^The change was made, but its entry in the audit trail could not be stored;/u)
      ])
      expect((yield* ask(`${url}${tfePath.workspaces("default")}/demo`, userToken)).status).toBe(200)
    }))

  it.live("is only added to: the database itself refuses to change or to shorten it", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const scope = yield* Scope.make()
      const url = yield* serve(made).pipe(Scope.provide(scope))
      yield* person(url).workspace("demo")
      yield* Scope.close(scope, Exit.void)
      const database = new DatabaseSync(join(made, "data", "agent-job.sqlite"))
      for (const statement of ["UPDATE audit SET name = 'nobody'", "DELETE FROM audit"]) {
        expect(() => database.exec(statement)).toThrow("only added to")
      }
      database.close()
    }))
})
