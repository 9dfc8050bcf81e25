// The audit trail: every change that was made is in it with its request; reads, plain refusals and secrets are not.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Option, Schema, Scope } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { AuditList, auditPath } from "../../../src/schema/api/audit.ts"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { statePath } from "../../../src/schema/api/state.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { RunId, WorkspaceName } from "../../../src/schema/names.ts"
import { Audit, everything } from "../../../src/server/access/audit.ts"
import { Refused } from "../../../src/server/refused.ts"
import { actsOn } from "../../../src/server/store/act.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import {
  ada,
  agent,
  applying,
  ask,
  directory,
  failed,
  inStores,
  person,
  planToken,
  planWith,
  poolToken,
  readToken,
  serve,
  server,
  succeeded,
  taskUid,
  userToken,
  withChanges,
  worker
} from "../live-server.ts"

const trailOf = (url: string, path: string) =>
  Effect.map(ask(url + path, userToken), ({ json }) => Schema.decodeUnknownSync(AuditList)(json).entries)
const trail = (url: string, query = "") => trailOf(url, auditPath.all + query)

const notAllowed = new Refused({ status: 403, error: "not-allowed", message: "It may not." })

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
      const version = (yield* person(url).state("demo")).version.id
      const { workspaceId, configurationVersionId } = yield* Effect.map(ask(`${url}/api/v2/runs/${id}`, userToken), ({ json }) => ({
        workspaceId: json.data.relationships.workspace.data.id as string,
        configurationVersionId: json.data.relationships["configuration-version"].data.id as string
      }))
      const entries = yield* trail(url)
      const plan = `${id}.plan.1`
      const pool = expect.stringMatching(/^pool [0-9a-f]{8}$/u)
      const offered = (stage: string) => [pool, "POST /api/pool/v1/acquire", `${stage}/agent-1`]
      const begun = (stage: string, request: string) => [`task ${stage}`, `${request} (began the stage)`, `${stage}/${taskUid}`]
      expect(entries.map(({ action, kind, name, object }) => [`${kind} ${name}`, action, object]).toReversed()).toEqual([
        ["user Ada Lovelace", "POST /api/v2/organizations/:organization/workspaces", workspaceId],
        ["user Ada Lovelace", "POST /api/v2/workspaces/:id/configuration-versions", `${workspaceId}/${configurationVersionId}`],
        [`link ${configurationVersionId}`, "PUT /api/v2/uploads/:id/:secret", configurationVersionId],
        ["user Ada Lovelace", "POST /api/v2/runs", id],
        offered(plan),
        [pool, "POST /api/pool/v1/assignments/:id/acknowledge", plan],
        begun(plan, "PUT /api/task/v1/plan"),
        [`task ${plan}`, "PUT /api/task/v1/plan", ""],
        [`task ${plan}`, "POST /api/task/v1/result", ""],
        ["user Ada Lovelace", "POST /api/v2/runs/:id/actions/apply", `${id}/${apply.planSha256}`],
        offered(apply.id),
        [pool, "POST /api/pool/v1/assignments/:id/acknowledge", apply.id],
        begun(apply.id, "POST /api/task/v1/state/lock"),
        [`task ${apply.id}`, "POST /api/task/v1/state/lock", ""],
        [`task ${apply.id}`, "POST /api/task/v1/state", version],
        [`task ${apply.id}`, "POST /api/task/v1/state/unlock", ""],
        [`task ${apply.id}`, "POST /api/task/v1/result", ""]
      ])
      expect(entries.find(({ action }) => action.endsWith("actions/apply"))?.requestId).toBe(applied.headers.get("x-request-id"))
      expect(new Set(entries.map(({ requestId }) => requestId)).size).toBe(entries.length - 2) // two requests began a stage besides
    }))

  it.live("has each stage that was taken, and the task that began it, also where nothing but its details was read", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const stage = `${id}.plan.1`
      const [offered] = yield* agent(url, "somebody").acquire()
      yield* agent(url, "another").acquire()
      const details = (uid: string) => worker(url, offered ?? expect.fail("it is offered"), uid).as("GET", taskPath.assignment)
      const asked = yield* Effect.forEach(["a UID", "a UID", "another"], details)
      expect(asked.map(({ status }) => status)).toEqual([200, 200, 409])
      expect((yield* trail(url)).slice(0, 2).map(({ action, kind, object }) => [kind, action, object])).toEqual([
        ["task", "GET /api/task/v1/assignment (began the stage)", `${stage}/a UID`],
        ["pool", "POST /api/pool/v1/acquire", `${stage}/somebody`]
      ])
      const ofRun = yield* trailOf(url, auditPath.run(id))
      expect(ofRun.map(({ action }) => action.split(" ")[1])).toEqual([taskPath.assignment, poolPath.acquire, tfePath.runs])
      expect((yield* trailOf(url, auditPath.workspace("demo"))).slice(0, 3)).toEqual(ofRun)
    }))

  it.live("has what the role of a token did not allow, also what it would only have read, and nothing of it was done", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const workspaceId = yield* person(url).workspace("demo")
      const before = yield* trail(url)
      const ci = person(url, planToken)
      const refused = [
        yield* ask(`${url}/api/state/v1/workspaces/demo`, readToken),
        yield* ci.act(id, "apply"),
        yield* ci.act(id, "cancel"),
        yield* ci.as("POST", tfePath.workspaces("default"), { data: { type: "workspaces", attributes: { name: "new" } } }),
        yield* ci.run(workspaceId, { "auto-apply": true })
      ]
      const entries = (yield* trail(url)).slice(0, -before.length).toReversed()
      expect(refused.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403])
      expect(entries.map(({ requestId }) => requestId)).toEqual(refused.map(({ headers }) => headers.get("x-request-id")))
      expect(entries.map(({ action, kind, name, object }) => [`${kind} ${name}`, action, object])).toEqual([
        ["user Board", "GET /api/state/v1/workspaces/:name (not allowed)", "demo"],
        ["user CI", "POST /api/v2/runs/:id/actions/apply (not allowed)", id],
        ["user CI", "POST /api/v2/runs/:id/actions/cancel (not allowed)", id],
        ["user CI", "POST /api/v2/organizations/:organization/workspaces (not allowed)", ""],
        ["user CI", "POST /api/v2/runs (not allowed)", workspaceId]
      ])
      expect((yield* trailOf(url, auditPath.run(id))).map(({ action }) => action.endsWith("(not allowed)")).slice(0, 2)).toEqual([
        true,
        true
      ])
    }))

  it.effect("has of what a role did not allow thirty at once of a name and then one a minute, and all is answered alike", () =>
    inStores(
      Effect.gen(function*() {
        const { page, recorded } = yield* Audit
        const refused = (name: string, times: number) => {
          const asked = {
            by: { kind: "user", name, role: "read", workspaces: "all" },
            method: "GET",
            path: "/",
            params: {},
            requestId: "req-1"
          } as const
          return Effect.replicateEffect(Effect.flip(recorded(asked, Effect.fail(notAllowed))), times)
        }
        const names = Effect.map(page(everything, Option.none()), ({ entries }) => entries.map(({ name }) => name).toReversed())
        const ofBoard = Array.from({ length: 30 }, () => "Board")
        expect(yield* refused("Board", 100)).toEqual(Array.from({ length: 100 }, () => notAllowed))
        yield* refused("Other", 1)
        expect(yield* names).toEqual([...ofBoard, "Other"])
        yield* TestClock.adjust("1 minute")
        yield* refused("Board", 2)
        expect(yield* names).toEqual([...ofBoard, "Other", "Board"])
      })
    ))

  it.effect("has of what a request names no more than any name may have, whatever the request", () =>
    inStores(
      Effect.gen(function*() {
        const { page, recorded } = yield* Audit
        const asked = { by: ada, method: "GET", path: "/:id/vars/:variable", requestId: "req-1" } as const
        const longest = "x".repeat(253)
        const refused = (id: string, about: string) =>
          Effect.flip(
            recorded({ ...asked, params: { id, variable: about } }, Effect.andThen(actsOn(about), Effect.fail(notAllowed)))
          )
        yield* refused(longest, longest)
        yield* refused(`${longest}x`, `${longest}x`)
        yield* refused("a/b c\n", "d")
        const { entries } = yield* page(everything, Option.none())
        const each = (part: string) => [part, part, part].join("/")
        expect(entries.map(({ object }) => object)).toEqual(["a%2Fb%20c%0A/d/d", each(`${longest}…`), each(longest)])
      })
    ))

  it.live("has nothing of why a stage waits, however often its agent tells that", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const plan = yield* agent(url).take
      const before = yield* trail(url)
      for (const place of [3, 2, 1]) {
        expect((yield* agent(url).wait(plan.id, "ConcurrencyLimit", `${place} are before it.`)).status).toBe(204)
      }
      expect((yield* person(url).view(id)).queue?.message).toBe("1 are before it.")
      expect(yield* trail(url)).toEqual(before)
    }))

  it.live("names the variable of a workspace that was set or deleted, whose key it tells then, and not its value", () =>
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
        ["DELETE /api/v2/workspaces/:id/vars/:variable", `${id}/${two}/TWO`],
        ["POST /api/v2/workspaces/:id/vars", `${id}/${two}`],
        ["POST /api/v2/workspaces/:id/vars", `${id}/${one}`]
      ])
      expect(JSON.stringify(entries)).not.toContain("a secret")
    }))

  it.live("has nothing of what was refused or only looked at", () =>
    Effect.gen(function*() {
      const url = yield* server
      const workspaceId = yield* person(url).workspace("demo")
      yield* ask(`${url}/api/v2/runs`, userToken, "POST", { data: {} })
      yield* ask(url + tfePath.variable(workspaceId, "var-none"), userToken, "DELETE")
      yield* ask(`${url}/api/v2/workspaces/${workspaceId}`, userToken, "PATCH", { data: { attributes: { "working-directory": "/" } } })
      yield* ask(`${url}/api/v2/runs`, "wrong", "POST", { data: {} })
      yield* ask(`${url}/api/v2/runs/run-none/actions/apply`, userToken, "POST", {})
      yield* ask(`${url}/api/v2/uploads/cv-none/${"0".repeat(64)}`, undefined, "PUT", "x")
      yield* ask(`${url}/api/state/v1/workspaces/none`, userToken)
      yield* agent(url).acquire()
      yield* agent(url).post(poolPath.result("run-none.plan.1"), failed())
      expect((yield* trail(url)).map(({ object }) => object)).toEqual([workspaceId])
    }))

  it.live("has an upload that is no archive, which its version remembers, and not a lock that is no JSON, which makes no workspace", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const { id, status } = yield* me.upload(yield* me.workspace("demo"), Buffer.from("no archive"))
      const [entry] = yield* trail(url)
      expect([status, entry?.action, entry?.object]).toEqual([422, "PUT /api/v2/uploads/:id/:secret (no archive)", id])
      const address = `${url}/api/state/v1/workspaces/ghost`
      expect((yield* ask(address, userToken, "PUT", "no JSON")).status).toBe(422)
      expect((yield* ask(`${url}${statePath.state("ghost")}`, userToken)).status).toBe(404)
      expect((yield* ask(address, userToken, "PUT", { ID: "a" })).status).toBe(200)
      expect((yield* trail(url)).filter(({ object }) => object === "ghost").map(({ action }) => action))
        .toEqual(["PUT /api/state/v1/workspaces/:name"])
    }))

  it.live("names the seal of an approval that counts, and not of one that comes after it", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* planWith(url)
      for (let time = 0; time < 2; time++) expect((yield* person(url).act(id, "apply")).status).toBe(202)
      const { planSha256 } = yield* person(url).view(id)
      const objects = Effect.map(trailOf(url, auditPath.run(id)), (entries) => entries.slice(0, 2).map(({ object }) => object))
      expect(yield* objects).toEqual([id, `${id}/${planSha256}`])
    }))

  it.live("says of a lock that it was opened by force and which stage had it, also to the trail of its run, and nothing of an own or of none", () =>
    Effect.gen(function*() {
      const { address, applier, apply, url } = yield* applying
      const byCommand = person(url).as("POST", statePath.unlock("demo"), { by: "me", lock: "a" })
      const opened = ask(address, userToken, "DELETE", { ID: "a" })
      yield* applier.lock("a")
      yield* opened
      for (const open of [opened, byCommand]) {
        yield* ask(address, userToken, "PUT", { ID: "a" })
        yield* open
      }
      yield* byCommand
      const unlocks = (path: string) =>
        Effect.map(
          trailOf(url, path),
          (entries) =>
            entries.filter(({ action }) => /^DELETE|unlock/u.test(action)).map(({ action, object }) => [action, object]).toReversed()
        )
      const forced = ["DELETE /api/state/v1/workspaces/:name (by force)", `demo/${apply.id}`]
      const command = "POST /api/agent-job/v1/workspaces/:name/state/unlock"
      expect(yield* unlocks(auditPath.workspace("demo"))).toEqual([
        forced,
        ["DELETE /api/state/v1/workspaces/:name", "demo"],
        [`${command} (by force)`, "demo"],
        [command, "demo"]
      ])
      expect(yield* unlocks(auditPath.run(apply.id.slice(0, apply.id.indexOf("."))))).toEqual([forced])
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
        before + 2, // the push began the stage
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
      const actions = (path: string) => Effect.map(trailOf(url, path), (entries) => entries.map(({ action }) => last(action)).toReversed())
      const ofRun = ["runs", "acquire", "acknowledge", "plan (began the stage)", "plan", "result", "discard"]
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

  it.live("tells a workspace whose name looks like an id from what has that id", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const run = yield* me.start("demo")
      const workspaceId = yield* me.workspace("demo")
      const lock = (name: string) => ask(`${url}/api/state/v1/workspaces/${name}`, userToken, "PUT", { ID: "a" })
      for (const name of [run, workspaceId]) expect((yield* lock(name)).status).toBe(200)
      const objects = (path: string) => Effect.map(trailOf(url, path), (entries) => entries.map(({ object }) => object))
      expect(yield* objects(auditPath.run(run))).toEqual([run])
      for (const name of [run, workspaceId]) expect(yield* objects(auditPath.workspace(name))).toEqual([name])
      const locks = Effect.map(trailOf(url, auditPath.workspace("demo")), (entries) =>
        entries.filter(({ action }) => action.startsWith("PUT /api/state")))
      expect(yield* locks).toEqual([])
    }))

  it.effect("is given a hundred entries at a time, and says where the older ones begin; of one run, few are looked for at once, and none that are older than the entry that made it", () =>
    inStores(
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const { page } = yield* Audit
        expect(yield* page(everything, Option.none())).toEqual({ entries: [] })
        yield* sql`WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < 45000)
          INSERT INTO audit (seq, at, kind, name, action, object, requestId)
          SELECT seq, '2026-01-31T12:00:00Z', 'user', 'Ada',
            CASE seq WHEN 10000 THEN 'POST /api/v2/runs' WHEN 29999 THEN 'POST /api/agent-job/v1/workspaces/:name/state/import' ELSE 'POST' END,
            CASE WHEN seq IN (1, 10000, 30000) THEN 'run-a' WHEN seq = 29999 THEN 'demo/run-c' ELSE 'run-b' END, 'req-1' FROM n`
        const seqs = ({ entries, older }: typeof AuditList.Type) => [entries.at(0)?.seq, entries.at(-1)?.seq, older]
        expect(seqs(yield* page(everything, Option.none()))).toEqual([45_000, 44_901, 44_901])
        expect(seqs(yield* page(everything, Option.some(44_901)))).toEqual([44_900, 44_801, 44_801])
        expect(seqs(yield* page(everything, Option.some(101)))).toEqual([100, 1, undefined])
        const rare = (before: number, id = "run-a") => page({ run: { id: RunId.make(id) } }, Option.some(before))
        expect(seqs(yield* rare(90_000))).toEqual([30_000, 30_000, 25_001])
        expect(seqs(yield* rare(25_001))).toEqual([10_000, 10_000, undefined])
        expect(seqs(yield* rare(10_000))).toEqual([1, 1, undefined])
        expect(seqs(yield* rare(90_000, "run-c"))).toEqual([29_999, 29_999, undefined])
      })
    ))

  it.effect("is looked through in pieces, so that nothing else waits for thousands of entries", () =>
    inStores(
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < 5000)
          INSERT INTO audit (seq, at, kind, name, action, object, requestId) SELECT seq, '2026-01-31T12:00:00Z', 'user', 'Ada', 'POST', 'run-b', 'req-1' FROM n`
        const lookedThrough: Array<number> = []
        yield* (yield* Audit).page({ run: { id: RunId.make("run-a") } }, Option.none()).pipe(
          Effect.provideService(Statement.CurrentTransformer, (statement) =>
            Effect.sync(() => {
              const [text, [end, start]] = statement.compile()
              if (text.includes("seq >= ?")) lookedThrough.push(Number(end) - Number(start))
              return statement
            }))
        )
        expect(lookedThrough).toEqual([1000, 1000, 1000, 1000, 1000])
      })
    ))

  it.effect("has the entries of earlier versions as they are, each with what it is about", () =>
    inStores(
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const { id, name } = yield* (yield* Workspaces).ensure(WorkspaceName.make("demo"))
        const runId = RunId.make("run-a")
        yield* sql`INSERT INTO configurationVersions (id, seq, workspaceId, speculative, status, createdAt)
          VALUES ('cv-a', 1, ${id}, 0, 'uploaded', '2026-01-31T12:00:00Z')`
        yield* sql`INSERT INTO runs (id, seq, workspaceId, configurationVersionId, archiveSha256, status, planOnly, autoApply, cancelAsked, destroy, message, options, variables, createdAt, timestamps)
          VALUES (${runId}, 1, ${id}, 'cv-a', 'none', 'planned', 0, 0, 0, 0, '', '{}', '[]', '2026-01-31T12:00:00Z', '{}')`
        const olds = [
          ["user", "Ada", "POST /api/v2/organizations/:organization/workspaces", id, "workspace"],
          ["user", "Ada", "POST /api/v2/workspaces/:id/vars", id, "workspace"],
          ["user", "Ada", "DELETE /api/v2/workspaces/:id/vars/:variable", `${id}/var-a`, "workspace"],
          ["link", "cv-a", "PUT /api/v2/uploads/:id/:secret (broken off)", "cv-a", "workspace"],
          ["user", "Ada", "POST /api/v2/runs", runId, "run"],
          ["pool", "abc", "POST /api/pool/v1/assignments/:id/acknowledge", `${runId}.plan.1`, "run"],
          ["task", `${runId}.plan.1`, "POST /api/task/v1/state (kept as evidence)", "", "run"],
          ["user", "Ada", "POST /api/agent-job/v1/workspaces/:name/state/import", name, "workspace"],
          ["user", "Ada", "PUT /api/state/v1/workspaces/:name", runId, "neither"],
          ["user", `${runId}.plan.1`, "POST /api/v2/runs", "run-b", "neither"]
        ] as const
        for (const [kind, name, action, object] of olds) {
          yield* sql`INSERT INTO audit ${sql.insert({ at: "2026-01-31T12:00:00Z", kind, name, action, object, requestId: "req-1" })}`
        }
        const { page } = yield* Audit
        const found = (about: Parameters<typeof page>[0]) =>
          Effect.map(page(about, Option.none()), ({ entries }) => entries.map(({ seq }) => seq).toReversed())
        const seqs = (...of: ReadonlyArray<string>) => olds.flatMap(([, , , , about], at) => of.includes(about) ? [at + 1] : [])
        expect(yield* found({ run: { id: runId } })).toEqual(seqs("run"))
        expect(yield* found({ workspace: { id, name } })).toEqual(seqs("run", "workspace"))
      })
    ))

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

  it.live("has the entry of a change, or there is no change", () =>
    Effect.gen(function*() {
      const made = yield* directory
      yield* Effect.scoped(serve(made))
      const database = new DatabaseSync(join(made, "data", "agent-job.sqlite"))
      database.exec("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
      database.close()
      const url = yield* serve(made)
      const answer = yield* ask(url + tfePath.workspaces("default"), userToken, "POST", { data: { attributes: { name: "demo" } } })
      expect([answer.status, answer.json.errors[0].title]).toEqual([503, "storage"])
      expect((yield* ask(`${url}${tfePath.workspaces("default")}/demo`, userToken)).status).toBe(404)
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
