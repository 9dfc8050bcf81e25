// What a user's token with a role gets done, and what not: test/server/scopes.test.ts asks each route, and here is what a route alone does not tell.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { statePath, statesPath } from "../../../src/schema/api/state.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import {
  agent,
  type Answer,
  applying,
  archiveOf,
  ask,
  directory,
  person,
  planToken,
  planWith,
  readToken,
  type Resource,
  serve,
  server,
  state,
  succeeded,
  userToken,
  withChanges,
  worker
} from "../live-server.ts"

const archive = archiveOf({ "main.tf": "output \"m\" { value = 1 }" })
const said = ({ json, status }: Answer) => [status, json.errors[0].title, json.errors[0].detail]
const refusedTo = (asked: string) => [
  403,
  "not allowed",
  `The token of CI has role=plan, which does not allow ${asked}; use a token without a role.`
]

/** A workspace that Ada made, and two who use it: herself, and a pipeline that may only plan. */
const scene = (settings: Record<string, unknown> = {}) =>
  Effect.gen(function*() {
    const url = yield* server
    const [ada, ci] = [person(url), person(url, planToken)]
    const id = yield* ada.workspace("demo", settings)
    /** Starts a run of the pipeline's, with a configuration of its own. */
    const start = (attributes: Record<string, unknown> = {}, speculative = false) =>
      Effect.flatMap(ci.upload(id, archive, speculative), (version) => ci.run(id, attributes, version.id))
    return { url, ada, ci, id, start }
  })

describe("a token with role=plan", () => {
  it.live("plans, and another approves", () =>
    Effect.gen(function*() {
      const { ada, ci, start, url } = yield* scene()
      const run = String((yield* start()).json.data.id)
      yield* planWith(url)
      expect(yield* ci.view(run)).toMatchObject({ status: "planned", startedBy: "CI" })
      expect(said(yield* ci.act(run, "apply"))).toEqual(refusedTo("POST /api/v2/runs/:id/actions/apply"))
      expect((yield* ci.view(run)).status).toBe("planned")
      expect((yield* ada.act(run, "apply")).status).toBe(202)
    }))

  const byItself = refusedTo("a run that applies by itself (auto-apply)")
  it.live.each<{ settings?: Record<string, unknown>; attributes: Record<string, unknown>; speculative?: boolean; starts: boolean }>([
    { attributes: {}, starts: true },
    { attributes: { "is-destroy": true }, starts: true },
    { attributes: { "auto-apply": true }, starts: false },
    { attributes: { "auto-apply": true, "may-ask": true }, starts: false },
    { attributes: { "auto-apply": true, "plan-only": true }, starts: true },
    { attributes: { "auto-apply": true, "save-plan": true }, starts: true },
    { attributes: { "auto-apply": true }, speculative: true, starts: true },
    { settings: { "auto-apply": true }, attributes: {}, starts: false },
    { settings: { "auto-apply": true }, attributes: { "auto-apply": null }, starts: false },
    { settings: { "auto-apply": true }, attributes: { "auto-apply": false }, starts: true },
    { settings: { "auto-apply": true }, attributes: {}, speculative: true, starts: true }
  ])(
    "starts no run that would apply by itself: $attributes where the workspace has $settings (speculative: $speculative)",
    ({ attributes, settings, speculative, starts }) =>
      Effect.gen(function*() {
        const { ada, id, start } = yield* scene(settings)
        const answer = yield* start(attributes, speculative)
        if (starts) return expect(answer.status).toBe(201)
        expect(said(answer)).toEqual(byItself)
        expect((yield* ada.as("GET", `/api/v2/workspaces/${id}/runs`)).json.data).toEqual([])
      })
  )

  it.live("discards and cancels what was started in its name, and nothing else", () =>
    Effect.gen(function*() {
      const { ada, ci, start } = yield* scene()
      const mine = yield* Effect.forEach([start(), start()], (made) => Effect.map(made, ({ json }) => String(json.data.id)))
      const hers = yield* ada.start("other")
      for (const action of ["discard", "cancel"] as const) {
        expect(said(yield* ci.act(hers, action))).toEqual(
          refusedTo(`to ${action} a run that somebody else started, or whose apply is approved`)
        )
        expect((yield* ci.act("run-none", action)).status).toBe(404)
      }
      expect((yield* ada.view(hers)).cancelAsked).toBe(false)
      expect((yield* ci.act(mine[1] ?? "", "discard")).status).toBe(202)
      expect((yield* ci.act(mine[0] ?? "", "cancel")).status).toBe(202)
      expect(said(yield* ci.act(mine[0] ?? "", "force-cancel"))).toEqual(refusedTo("POST /api/v2/runs/:id/actions/force-cancel"))
    }))

  it.live("stops nothing that another has approved, and clients are told so beforehand", () =>
    Effect.gen(function*() {
      const { ada, ci, start, url } = yield* scene()
      const run = String((yield* start()).json.data.id)
      const maySee = Effect.map(ci.as("GET", `/api/v2/runs/${run}`), ({ json }) => json.data.attributes.permissions["can-cancel"])
      yield* planWith(url)
      expect(yield* maySee).toBe(true)
      yield* ada.act(run, "apply")
      yield* worker(url, yield* agent(url).take).lock("a")
      expect(yield* maySee).toBe(false)
      expect((yield* ci.act(run, "cancel")).status).toBe(403)
      expect(yield* ada.view(run)).toMatchObject({ status: "applying", cancelAsked: false })
    }))

  it.live("gets a run of its own where somebody else has asked for the same", () =>
    Effect.gen(function*() {
      const { ada, ci, id } = yield* scene()
      const version = yield* ada.upload(id, archive)
      const ids = yield* Effect.forEach([ada, ci, ci], (who) => Effect.map(who.run(id, {}, version.id), ({ json }) => String(json.data.id)))
      expect(new Set(ids).size).toBe(2)
      expect((yield* ci.view(ids[1] ?? "")).startedBy).toBe("CI")
    }))

  it.live("puts its configuration into no run that names none, which may apply by itself", () =>
    Effect.gen(function*() {
      const { ada, ci, id } = yield* scene({ "auto-apply": true })
      const hers = yield* ada.upload(id, archive)
      yield* ci.upload(id, archiveOf({ "main.tf": "# of a pull request" }))
      const { json } = yield* ada.run(id)
      expect(json.data.relationships["configuration-version"].data.id).toBe(hers.id)
    }))

  it.live("tells clients beforehand what it does not allow", () =>
    Effect.gen(function*() {
      const { ada, start, url } = yield* scene()
      const mine = String((yield* start()).json.data.id)
      const hers = yield* ada.start("other")
      const permissionsAt = (path: string) =>
        Effect.forEach([userToken, planToken, readToken], (token) =>
          Effect.map(person(url, token).as("GET", path), ({ json }) => json.data.attributes.permissions))
      const allowed = (of: Record<string, boolean>) =>
        Object.keys(of).filter((permission) => of[permission] === true)
      const ofWorkspace = yield* permissionsAt(tfePath.workspace("default", "demo"))
      const seen = ["can-read-settings", "can-read-variable"]
      expect(ofWorkspace.slice(1).map(allowed)).toEqual([["can-queue-run", ...seen], seen])
      expect(allowed(ofWorkspace[0])).toEqual(
        expect.arrayContaining([
          "can-update",
          "can-queue-apply",
          "can-queue-destroy",
          "can-update-variable",
          "can-lock",
          "can-force-unlock"
        ])
      )
      const stop = ["can-cancel", "can-discard"]
      const all = ["can-apply", ...stop, "can-force-cancel"]
      expect((yield* permissionsAt(`/api/v2/runs/${mine}`)).map(allowed)).toEqual([all, stop, []])
      expect((yield* permissionsAt(`/api/v2/runs/${hers}`)).map(allowed)).toEqual([all, [], []])
    }))
})

describe("a token with a role", () => {
  it.live.each([planToken, readToken])("reads no state, and no output that is sensitive", (token) =>
    Effect.gen(function*() {
      const { address, applier, id, url } = yield* applying
      const { epoch } = (yield* applier.lock("a")).json
      const outputs = { open: { value: "o", type: "string" }, secret: { value: "swordfish", type: "string", sensitive: true } }
      yield* applier.pushState(state(1, "l", { outputs }), "a", epoch)
      yield* applier.unlock("a")
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      const me = person(url, token)
      const workspaceId = (yield* me.as("GET", tfePath.workspace("default", "demo"))).json.data.id
      const { version } = yield* me.state("demo")
      expect(version).toMatchObject({ serial: 1, runId: id })

      const raw = yield* ask(address, token)
      expect([raw.status, raw.json.error]).toEqual([403, "not-allowed"])
      expect((yield* me.as("GET", `/api/v2/state-versions/${version.id}/download`)).status).toBe(403)
      const listed: ReadonlyArray<Resource> = (yield* me.as("GET", tfePath.outputs(workspaceId))).json.data
      const ones = yield* Effect.forEach(listed, (output) => me.as("GET", `/api/v2/state-version-outputs/${output.id}`))
      const shown = [["open", "o", false], ["secret", null, true]]
      const values = (outputs: ReadonlyArray<Resource>) =>
        outputs.map(({ attributes: { name, sensitive, value } }) => [name, value, sensitive])
      expect(values(listed)).toEqual(shown)
      expect(values(ones.map(({ json }) => json.data))).toEqual(shown)
    }))

  it.live("sees no state where stock clients look for one to download, so that their init goes on without", () =>
    Effect.gen(function*() {
      const { ci, id, url } = yield* scene()
      yield* ask(`${url}${statesPath}demo`, userToken, "PUT", { ID: "a" })
      yield* ask(`${url}${statesPath}demo?ID=a`, userToken, "POST", state(1))
      const current = `/api/v2/workspaces/${id}/current-state-version`
      expect((yield* person(url).as("GET", current)).status).toBe(200)
      expect(said(yield* ci.as("GET", current))).toEqual([404, ...refusedTo("the state of the workspace").slice(1)])
    }))

  it.live("is told from another of its holder by its role alone, and stops what that has started", () =>
    Effect.gen(function*() {
      const made = yield* directory
      writeFileSync(join(made, "user.token"), `${userToken} Ada\n${planToken} Ada role=plan\n${readToken} role=read\n`)
      const url = yield* serve(made)
      const run = yield* person(url).start("demo")
      expect((yield* person(url, planToken).act(run, "cancel")).status).toBe(202)
      expect((yield* person(url, planToken).as("POST", statePath.import("demo"))).status).toBe(403)
      expect((yield* person(url, readToken).as("POST", tfePath.runs, {})).json.errors[0].detail).toMatch(
        /^The token of [0-9a-f]{8} has role=read, which does not allow POST \/api\/v2\/runs; use a token with role=plan or without a role\.$/u
      )
    }))
})
