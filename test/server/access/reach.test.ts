// What a token of some workspaces is told of others: each route of users, asked for what is inside, outside and nowhere, with every role.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { type AuditEntry, auditPath } from "../../../src/schema/api/audit.ts"
import { poolsPath } from "../../../src/schema/api/pools.ts"
import { runPath } from "../../../src/schema/api/run.ts"
import { statePath, statesPath } from "../../../src/schema/api/state.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { sealed } from "../../../src/worker/state/stranded-states.ts"
import { lost } from "../doubted-state.ts"
import {
  agent,
  type Answer,
  archiveOf,
  ask,
  directory,
  person,
  planToken,
  planWith,
  readToken,
  type Resource,
  serve,
  state,
  teamToken,
  userToken,
  withoutRates,
  worker
} from "../live-server.ts"
import { registered } from "../registered.ts"
import { contentOf, inDatabase } from "../stored.ts"

/** What there is of a workspace. */
interface Things {
  readonly name: string
  readonly workspace: string
  readonly variable: string
  readonly version: string
  readonly run: string
  readonly state: string
  readonly output: string
  readonly evidence: string
}

const nowhere: Things = {
  name: "team-b-none",
  workspace: "ws-none",
  variable: "var-none",
  version: "cv-none",
  run: "run-none",
  state: "sv-none",
  output: "wsout-sv-none-6f6e65",
  evidence: "ev-none"
}

/**
 * How a route is asked about a workspace: what the id in its path is of, a query and a body. `outside` is what a token without a role gets of
 * another workspace: 404, unless it says 403, or `less`: what there is inside alone; or `same`: nothing of what it tells is of a workspace.
 */
interface Row {
  readonly id?: "workspace" | "version" | "run" | "plan" | "apply" | "state" | "output" | "evidence" | "pool"
  readonly query?: (of: Things) => string
  readonly body?: (of: Things) => unknown
  readonly outside?: 403 | "less" | "same"
}

const none = () => ({})
const workspaceId = { id: "workspace" } as const
const run = { id: "run" } as const
const same = { outside: "same" } as const
const less = { outside: "less" } as const
const told = (more: object) => () => ({ by: "me", ...more })
const bytes = (serial: number) => () => JSON.stringify(state(serial))
const attributes = (attributes: object) => () => ({ data: { attributes } })

const table: Readonly<Record<string, Row>> = {
  "GET /api/state/v1/workspaces/:name": {},
  "GET /api/state/v1/workspaces/:name/outputs": {},
  "PUT /api/state/v1/workspaces/:name": { body: () => ({ ID: "mine" }), outside: 403 },
  "POST /api/state/v1/workspaces/:name": { query: () => "?ID=mine", body: bytes(9) },
  "DELETE /api/state/v1/workspaces/:name": { body: () => ({ ID: "mine" }) },
  "GET /api/agent-job/v1/runs": less,
  "GET /api/agent-job/v1/runs?workspace=:name": {},
  "GET /api/agent-job/v1/runs?before=:id": run,
  "GET /api/agent-job/v1/runs/:id": run,
  "GET /api/agent-job/v1/pools": less,
  "GET /api/agent-job/v1/audit": { outside: 403 },
  "GET /api/agent-job/v1/runs/:id/audit": run,
  "GET /api/agent-job/v1/workspaces/:name/audit": {},
  "GET /api/agent-job/v1/workspaces/:name/state": {},
  "GET /api/agent-job/v1/workspaces/:name/state/evidence/:id": { id: "evidence" },
  "POST /api/agent-job/v1/workspaces/:name/state/evidence": { body: bytes(7) },
  "POST /api/agent-job/v1/workspaces/:name/state/push": { body: bytes(8), outside: 403 },
  "POST /api/agent-job/v1/workspaces/:name/state/rescue": { body: told({ pending: [] }) },
  "POST /api/agent-job/v1/workspaces/:name/state/import": { body: none },
  "POST /api/agent-job/v1/workspaces/:name/state/unlock": { body: told({ lock: "mine" }) },
  "GET /api/v2/ping": same,
  "GET /api/v2/account/details": same,
  "GET /api/v2/organizations/:organization/entitlement-set": same,
  "GET /api/v2/organizations/:organization/workspaces": less,
  "POST /api/v2/organizations/:organization/workspaces": { body: ({ name }) => ({ data: { attributes: { name } } }), outside: 403 },
  "GET /api/v2/organizations/:organization/workspaces/:name": {},
  "GET /api/v2/workspaces/:id": workspaceId,
  "PATCH /api/v2/organizations/:organization/workspaces/:name": { body: attributes({}) },
  "PATCH /api/v2/workspaces/:id": { ...workspaceId, body: attributes({ name: "team-a-new" }) },
  "GET /api/v2/workspaces/:id/vars": workspaceId,
  "GET /api/v2/workspaces/:id/all-vars": workspaceId,
  "POST /api/v2/workspaces/:id/vars": { ...workspaceId, body: attributes({ key: "NEW", value: "v" }) },
  "GET /api/v2/workspaces/:id/vars/:variable": workspaceId,
  "DELETE /api/v2/workspaces/:id/vars/:variable": workspaceId,
  "POST /api/v2/workspaces/:id/configuration-versions": { ...workspaceId, body: attributes({}) },
  "GET /api/v2/configuration-versions/:id": { id: "version" },
  "POST /api/v2/runs": {
    body: ({ version, workspace }) => ({
      data: {
        attributes: { "plan-only": true },
        relationships: { workspace: { data: { id: workspace } }, "configuration-version": { data: { id: version } } }
      }
    })
  },
  "POST /api/v2/runs?of=the-newest-version": {
    body: ({ workspace }) => ({ data: { attributes: { "plan-only": true }, relationships: { workspace: { data: { id: workspace } } } } })
  },
  "GET /api/v2/runs/:id": { ...run, query: () => "?include=workspace,plan,apply" },
  "GET /api/v2/workspaces/:id/runs": workspaceId,
  "GET /api/v2/organizations/:organization/runs/queue": less,
  "GET /api/v2/organizations/:organization/capacity": less,
  "GET /api/v2/runs/:id/run-events": run,
  "POST /api/v2/runs/:id/actions/apply": { ...run, body: none },
  "POST /api/v2/runs/:id/actions/discard": { ...run, body: none },
  "POST /api/v2/runs/:id/actions/cancel": { ...run, body: none },
  "POST /api/v2/runs/:id/actions/force-cancel": { ...run, body: none },
  "GET /api/v2/plans/:id": { id: "plan" },
  "GET /api/v2/applies/:id": { id: "apply" },
  "GET /api/v2/workspaces/:id/current-state-version": workspaceId,
  "GET /api/v2/workspaces/:id/current-state-version-outputs": workspaceId,
  "GET /api/v2/state-version-outputs/:id": { id: "output" },
  "GET /api/v2/state-versions/:id": { id: "state" },
  "GET /api/v2/state-versions/:id/download": { id: "state" },
  "GET /api/v2/organizations/:organization/projects": same,
  "POST /api/v2/organizations/:organization/projects": same,
  "DELETE /api/v2/organizations/:organization/workspaces/:name": {},
  "POST /api/v2/organizations/:organization/workspaces/:name/actions/safe-delete": { body: none },
  "DELETE /api/v2/workspaces/:id": workspaceId,
  "POST /api/v2/workspaces/:id/actions/safe-delete": { ...workspaceId, body: none },
  "PATCH /api/v2/workspaces/:id/vars/:variable": { ...workspaceId, body: none },
  "POST /api/v2/workspaces/:id/relationships/tags": { ...workspaceId, body: none },
  "PATCH /api/v2/workspaces/:id/tag-bindings": { ...workspaceId, body: none },
  "POST /api/v2/workspaces/:id/actions/lock": { ...workspaceId, body: none },
  "POST /api/v2/workspaces/:id/actions/unlock": { ...workspaceId, body: none },
  "POST /api/v2/workspaces/:id/actions/force-unlock": { ...workspaceId, body: none },
  "GET /api/v2/organizations/:organization/agent-pools": same,
  "POST /api/v2/organizations/:organization/agent-pools": same,
  "GET /api/v2/agent-pools/:id": { id: "pool", outside: "same" },
  "PATCH /api/v2/agent-pools/:id": { id: "pool", outside: "same" },
  "DELETE /api/v2/agent-pools/:id": { id: "pool", outside: "same" },
  "POST /api/v2/queries": same,
  "POST /api/v2/workspaces/:id/state-versions": { ...workspaceId, body: none }
}

/** Asks a route of the table about a workspace. */
const asked = (url: string, token: string, row: string, things: Things) => {
  const { body, id = "workspace", query } = table[row] ?? expect.fail(`no row ${row}`)
  const [method = "", path = ""] = row.split(" ")
  const ids = { ...things, plan: things.run.replace("run-", "plan-"), apply: things.run.replace("run-", "apply-"), pool: "apool-none" }
  const at = path.replace(":organization", "default").replace(":name", things.name).replace(":variable", things.variable).replace(
    ":id",
    ids[id]
  )
  return ask(`${url}${at}${query?.(things) ?? ""}`, token, method, method === "GET" ? undefined : body?.(things) ?? {})
}

/** The tokens of a team, by role, each with one of the same role for all workspaces. */
const pairs = [
  { role: "read", team: "team-reads-0123456789", all: readToken },
  { role: "plan", team: "team-plans-0123456789", all: planToken },
  { role: "everything", team: teamToken, all: userToken }
] as const

const withTeams = Effect.map(directory, (made) => {
  const lines = pairs.flatMap(({ all, role, team }) => {
    const words = role === "everything" ? "" : `role=${role}`
    return [`${all} A ${role} ${words}`, `${team} Team ${role} workspaces=team-a-*,shared ${words}`]
  })
  writeFileSync(join(made, "user.token"), lines.join("\n"))
  return made
})
const served = Effect.flatMap(withTeams, (made) => withoutRates(serve(made)))
/** Runs a server on what another has left, and ends it. */
const during = <A, E>(made: string, use: (url: string) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(withoutRates(serve(made)), use))

/** Makes a workspace with a state, whose apply left more in doubt, and with a run that waits. */
const furnished = Effect.fnUntraced(function*(url: string, name: string) {
  const me = person(url)
  const first = yield* me.start(name, { "auto-apply": true })
  yield* planWith(url)
  const apply = yield* agent(url).take
  const applier = worker(url, apply)
  const { keptStateKey } = (yield* applier.as("GET", taskPath.assignment)).json
  const { epoch } = (yield* applier.lock("a")).json
  yield* applier.pushState(state(1, "l", { outputs: { one: { value: name, type: "string" } } }), "a", epoch)
  yield* applier.pushState(state(2), "another", epoch)
  yield* agent(url).report(apply.id, lost)
  const workspace = yield* me.workspace(name)
  const variable = yield* me.as("POST", tfePath.variables(workspace), { data: { attributes: { key: "OLD", value: name } } })
  const { id: version } = yield* me.upload(workspace, archiveOf({ "main.tf": "# 2" }))
  const { json } = yield* me.run(workspace, {}, version)
  const outputs: ReadonlyArray<Resource> = (yield* me.as("GET", tfePath.outputs(workspace))).json.data
  const view = yield* me.state(name)
  const things: Things = {
    name,
    workspace,
    variable: variable.json.data.id,
    version,
    run: json.data.id,
    state: view.version.id,
    output: outputs[0]?.id ?? "",
    evidence: view.evidence[0].id
  }
  return { things, first, stage: apply.id, key: Buffer.from(String(keptStateKey), "hex") }
})

/** Where the entries of the audit trail are, and their number. */
const trail = ["audit", "sqlite_sequence"]

/** Returns what was not allowed, and on what. */
const refusals = (entries: ReadonlyArray<AuditEntry>) =>
  entries.filter(({ action }) => action.endsWith("(not allowed)")).map(({ action, object }) => [action, object])

const alike = ({ status, text }: Answer) => `${status} ${text}`

describe("each route of users", () => {
  it.effect("is in the table", () =>
    Effect.gen(function*() {
      const ofUsers = (yield* registered).filter((route) => / \/api\/(?:v2|state|agent-job)\//u.test(route) && !route.endsWith("/:secret"))
      expect([...ofUsers].sort()).toEqual(Object.keys(table).filter((row) => !row.includes("?")).sort())
    }))

  it.effect(
    "gives a token what its role allows inside of its workspaces, and outside what it gives of nothing",
    () =>
      Effect.gen(function*() {
        const made = yield* withTeams
        const cells = pairs.flatMap((pair) =>
          Object.keys(table).map((row) => ({ ...pair, row, of: `${row} of a team's that may do ${pair.role}` }))
        )
        const [outside, inside, twin, others] = yield* during(made, (url) =>
          Effect.all([
            Effect.map(furnished(url, "team-b-x"), ({ things }) => things),
            Effect.map(furnished(url, "team-a-x"), ({ things }) => things),
            Effect.map(furnished(url, "other-x"), ({ things }) => things),
            Effect.forEach(cells, ({ all, row }) => asked(url, all, row, { ...nowhere, name: "elsewhere" }))
          ]))
        const before = contentOf(made, ...trail)
        const wrong: Array<string> = []
        yield* during(made, (url) =>
          Effect.forEach(cells, ({ of, row, team }, at) =>
            Effect.gen(function*() {
              const { outside: gets = 404 } = table[row] ?? {}
              const other = others[at] ?? expect.fail(row)
              const answer = yield* asked(url, team, row, outside)
              const status = other.status === 403 ? 403 : typeof gets === "number" ? gets : other.status
              const told = Object.values(outside).some((of) => answer.text.includes(of))
              if (answer.status !== status) wrong.push(`${of}: ${alike(answer)}, not ${status}`)
              if (told) wrong.push(`${of} tells of it: ${alike(answer)}`)
              if (alike(answer) !== alike(yield* asked(url, team, row, nowhere))) {
                wrong.push(`${of} is not that of nothing: ${alike(answer)}`)
              }
              if (gets === "same" && status !== 403 && alike(answer) !== alike(other)) {
                wrong.push(`${of} is not that of others: ${alike(answer)}`)
              }
            })))
        expect(wrong).toEqual([])
        expect(contentOf(made, ...trail)).toEqual(before)

        yield* during(made, (url) =>
          Effect.forEach(cells, ({ all, of, row, team }) =>
            Effect.gen(function*() {
              const answer = yield* asked(url, team, row, inside)
              const status = row === `GET ${auditPath.all}` ? 403 : (yield* asked(url, all, row, twin)).status
              if (answer.status !== status || status >= 500) wrong.push(`${of}: ${alike(answer)}, not ${status}`)
            })))
        expect(wrong).toEqual([])
      })
  )
})

describe("a token of some workspaces", () => {
  it.live("has lists and counts as if there were no others", () =>
    Effect.gen(function*() {
      const url = yield* served
      const [me, team] = [person(url), person(url, teamToken)]
      yield* me.start("team-b-x")
      yield* me.start("team-b-y")
      const get = (path: string) => Effect.map(team.as("GET", path), ({ json }) => json)
      const lists = Effect.all([
        get(`${tfePath.workspaces("default")}?page[size]=1`),
        get("/api/v2/organizations/default/runs/queue?page[size]=2"),
        get("/api/v2/organizations/default/capacity"),
        get(`${runPath.list}?page[size]=1`),
        get(poolsPath)
      ])
      const [workspaces, queue, capacity, runs, pools] = yield* lists
      expect([workspaces, queue].map(({ data, meta }) => [data, meta.pagination["total-count"], meta.pagination["next-page"]])).toEqual([
        [[], 0, null],
        [[], 0, null]
      ])
      expect([capacity.data.attributes, runs, pools.anyPool]).toEqual([
        { pending: 0, running: 0 },
        { runs: [] },
        { waiting: 0, workspaces: 0 }
      ])
      const first = yield* team.start("team-a-x")
      const second = yield* team.start("team-a-x")
      yield* me.start("team-b-x")
      const [one, waiting, counts, newest, counted] = yield* lists
      expect(one.data.map(({ attributes }: Resource) => attributes["name"])).toEqual(["team-a-x"])
      expect(one.meta.pagination).toMatchObject({ "total-count": 1, "next-page": null })
      expect([waiting.data.map(({ id }: Resource) => id), waiting.meta.pagination["total-count"]]).toEqual([[first, second], 2])
      expect(counts.data.attributes).toEqual({ pending: 2, running: 0 })
      expect([newest.runs.map(({ id }: { readonly id: string }) => id), newest.older]).toEqual([[second], second])
      expect(yield* get(`${runPath.list}?before=${second}`)).toMatchObject({ runs: [{ id: first }] })
      expect(counted.anyPool).toEqual({ waiting: 1, workspaces: 1 })
      for (const _ of ["two", "newer"]) yield* team.act(yield* team.start("team-a-x"), "cancel")
      expect((yield* get(`${runPath.list}?open=true&page[size]=1`)).runs).toMatchObject([{ id: second }])
    }))

  it.live("is told which workspaces it has where it makes another, and leaves the refusals in the audit trail", () =>
    Effect.gen(function*() {
      const url = yield* served
      const [me, team] = [person(url), person(url, teamToken)]
      const id = yield* me.workspace("team-b-x")
      const alone = "The token of Team everything is for the workspaces team-a-*,shared alone"
      const making = `${alone}, so it makes no other; choose a name that fits, or use a token that is for this one.`
      const made = yield* team.as("POST", tfePath.workspaces("default"), { data: { attributes: { name: "team-b-y" } } })
      expect([made.status, made.json.errors[0]]).toEqual([403, { status: "403", title: "not allowed", detail: making }])
      const locked = yield* ask(`${url}${statesPath}team-b-y`, teamToken, "PUT", { ID: "mine" })
      expect([locked.status, locked.json]).toEqual([403, { error: "not-allowed", message: making }])
      expect((yield* team.run(id)).status).toBe(404)
      expect((yield* team.as("GET", `${runPath.list}?workspace=team-b-x`)).status).toBe(404)
      expect((yield* team.as("GET", tfePath.workspaceById("ws-none"))).status).toBe(404)
      const all = yield* team.as("GET", auditPath.all)
      expect(all.json.message).toBe(
        `${alone}, which does not allow GET ${auditPath.all}; ask about one of them, or use a token without workspaces=.`
      )
      const { entries } = (yield* me.as("GET", auditPath.all)).json
      expect(
        entries.filter(({ name }: { readonly name: string }) => name === "Team everything")
          .map(({ action, object }: { readonly action: string; readonly object: string }) => [action, object])
      ).toEqual([
        [`GET ${auditPath.all} (not allowed)`, ""],
        [`GET ${runPath.list} (not allowed)`, "workspace team-b-x"],
        [`POST ${tfePath.runs} (not allowed)`, id],
        ["PUT /api/state/v1/workspaces/:name (not allowed)", "team-b-y"],
        ["POST /api/v2/organizations/:organization/workspaces (not allowed)", "workspace team-b-y"]
      ])
      expect((yield* me.as("GET", tfePath.workspace("default", "team-b-y"))).status).toBe(404)
    }))

  it.live("is seen in the trail of each workspace that it names and is not for, however it names it, and plants nothing in another's", () =>
    Effect.gen(function*() {
      const url = yield* served
      const [me, team] = [person(url), person(url, teamToken)]
      const run = yield* me.start("team-b-x")
      const id = yield* me.workspace("team-b-x")
      const seen = (path: string) => Effect.map(me.as("GET", path), ({ json: { entries } }) => refusals(entries))
      yield* team.as("GET", `${runPath.list}?workspace=team-b-x`)
      yield* team.as("POST", tfePath.workspaces("default"), { data: { attributes: { name: "team-b-x" } } })
      yield* team.as("GET", statePath.state("team-b-x"))
      yield* team.as("GET", runPath.run(run))
      const meant = yield* seen(auditPath.all)
      expect(meant).toEqual([
        ["GET /api/agent-job/v1/runs/:id (not allowed)", run],
        ["GET /api/agent-job/v1/workspaces/:name/state (not allowed)", "team-b-x"],
        ["POST /api/v2/organizations/:organization/workspaces (not allowed)", "workspace team-b-x"],
        [`GET ${runPath.list} (not allowed)`, "workspace team-b-x"]
      ])
      const planted = [id, run, `${run}.plan.1`, `${id}/x`, `x/${run}`, `team-b-x/${run}`, `team-b-y\u0000/${run}`, "x".repeat(7900)]
      for (const name of planted) expect((yield* team.as("GET", `${runPath.list}?workspace=${encodeURIComponent(name)}`)).status).toBe(404)
      for (const name of [id, `x/${run}`, `team-b-y/${run}`]) expect((yield* team.as("GET", statePath.state(name))).status).toBe(404)
      expect(yield* seen(auditPath.all)).toHaveLength(meant.length + planted.length + 3)
      expect(yield* seen(auditPath.workspace("team-b-x"))).toEqual(meant)
      expect(yield* seen(auditPath.run(run))).toEqual(meant.slice(0, 1))
    }))

  it.live("plans no configuration of another workspace, and does not learn that there is one", () =>
    Effect.gen(function*() {
      const url = yield* served
      const [me, team] = [person(url), person(url, teamToken)]
      const theirs = yield* me.upload(yield* me.workspace("team-b-x"), archiveOf({ a: "b" }))
      const mine = yield* team.workspace("team-a-x")
      expect(alike(yield* team.run(mine, {}, theirs.id))).toBe(alike(yield* team.run(mine, {}, "cv-none")))
      expect((yield* me.run(mine, {}, theirs.id)).status).toBe(422)
    }))

  it.live("brings no state that a stage of another workspace kept, or one that nobody knows", () =>
    Effect.gen(function*() {
      const made = yield* withTeams
      const [theirs, mine] = yield* during(made, (url) => Effect.all([furnished(url, "team-b-x"), furnished(url, "team-a-x")]))
      const bring = ({ key, stage }: typeof theirs) =>
        during(made, (url) =>
          person(url, teamToken).as("POST", statePath.bring("team-a-x"), sealed(stage, key, Buffer.from(JSON.stringify(state(5))))))
      const before = contentOf(made, ...trail)
      const known = yield* bring(theirs)
      expect([known.status, known.json.message]).toEqual([
        403,
        `The token of Team everything is for the workspaces team-a-*,shared alone, and nothing tells that the stage ${theirs.stage}, which left this state, is of one of them; use a token without workspaces=.`
      ])
      expect(contentOf(made, ...trail)).toEqual(before)
      expect((yield* bring(mine)).status).toBe(200)
      inDatabase(made, (database) =>
        database.exec(`PRAGMA foreign_keys = OFF; DELETE FROM stages WHERE id = '${theirs.stage}'`))
      expect(alike(yield* bring(theirs))).toBe(alike(known))
    }))

  it.live("makes and uses what its patterns fit, as a client with a cloud block does", () =>
    Effect.gen(function*() {
      const url = yield* served
      const team = person(url, teamToken)
      for (const name of ["team-a-x", "shared"]) {
        expect((yield* team.as("GET", tfePath.workspace("default", name))).status).toBe(404)
        const started = yield* team.start(name, { "auto-apply": true })
        yield* planWith(url)
        expect((yield* team.view(started)).status).toBe("confirmed")
        const { attributes } = (yield* team.as("GET", `/api/v2/plans/${started.replace("run-", "plan-")}`)).json.data
        expect((yield* ask(attributes["log-read-url"], undefined)).status).toBe(200)
        yield* agent(url).take
      }
    }))
})
