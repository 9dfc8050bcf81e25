// What a stock client asks of a run and this server does not do, and what a run shows of its variables.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { auditPath } from "../../../src/schema/api/audit.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { agent, archiveOf, ask, person, planWith, server, succeeded, worker } from "../live-server.ts"

const archive = archiveOf({ "main.tf": "output \"m\" { value = 1 }" })

/** A workspace with an archive, so that nothing but what is asked stands in the way of a run. */
const ready = Effect.gen(function*() {
  const url = yield* server
  const me = person(url)
  const id = yield* me.workspace("demo")
  yield* me.upload(id, archive)
  return { url, me, id }
})

describe("a run", () => {
  it.live.each<{ attributes: Record<string, unknown>; sentence: string }>([
    {
      attributes: { "refresh-only": true, "invoke-action-addrs": ["action.bash.greet"] },
      sentence:
        "A run here invokes no action by itself, so none was started; apply with -invoke where the backend is \"http\", as docs/state.md says."
    },
    {
      attributes: { "allow-config-generation": true },
      sentence:
        "A run here writes no configuration, so none was started; plan with -generate-config-out where the backend is \"http\", as docs/state.md says."
    },
    {
      attributes: { "terraform-version": "1.12.0" },
      sentence: "This server does not heed terraform-version of a run, so it would have no effect; leave it out."
    },
    {
      attributes: { "policy-paths": ["policies"] },
      sentence: "This server does not heed policy-paths of a run, so it would have no effect; leave it out."
    },
    {
      attributes: { "debugging-mode": true },
      sentence: "This server does not heed debugging-mode of a run, so it would have no effect; leave it out."
    },
    {
      attributes: { constructor: true },
      sentence: "This server does not heed constructor of a run, so it would have no effect; leave it out."
    }
  ])("is not started without what it asks for: $attributes", ({ attributes, sentence }) =>
    Effect.gen(function*() {
      const { id, me } = yield* ready
      const { json, status } = yield* me.run(id, attributes)
      expect([status, json.errors[0].detail]).toEqual([422, sentence])
      expect((yield* me.as("GET", `/api/v2/workspaces/${id}/runs`)).json.data).toEqual([])
    }))

  it.live("is started with all that stock clients send, and with what asks for nothing", () =>
    Effect.gen(function*() {
      const { id, me } = yield* ready
      const sent = { "auto-apply": false, "is-destroy": true, refresh: true, "save-plan": false, "target-addrs": ["a.b"], variables: [] }
      const nothing = {
        "allow-empty-apply": false,
        "allow-config-generation": null,
        "terraform-version": "",
        "policy-paths": [],
        "invoke-action-addrs": []
      }
      expect((yield* me.run(id, { ...sent, ...nothing })).status).toBe(201)
    }))

  it.live.each([
    { asked: { "is-destroy": true, "target-addrs": ["a.b"] }, options: { destroy: true, targets: ["a.b"] } },
    { asked: { refresh: false, "replace-addrs": ["a.b"] }, options: { refresh: false, replace: ["a.b"] } },
    { asked: { "refresh-only": true }, options: { refreshOnly: true } },
    { asked: { "is-destroy": false, refresh: true, "refresh-only": false, "target-addrs": null, "replace-addrs": null }, options: {} }
  ])("is planned with $options where a client asks for $asked", ({ asked, options }) =>
    Effect.gen(function*() {
      const { id, me, url } = yield* ready
      yield* me.run(id, asked)
      expect((yield* agent(url).take).options).toEqual(options)
    }))

  it.live.each([
    { left: "no configuration version", attributes: { message: "with what there is" } },
    { left: "no attribute either", attributes: undefined }
  ])("is of the newest configuration where a client names $left, as go-tfe writes it", ({ attributes }) =>
    Effect.gen(function*() {
      const { id, me } = yield* ready
      const newest = yield* me.upload(id, archive)
      const relationships = { workspace: { data: { type: "workspaces", id } }, "configuration-version": { data: null } }
      const { json } = yield* me.as("POST", tfePath.runs, { data: { type: "runs", attributes, relationships } })
      expect(json).toMatchObject({ data: { relationships: { "configuration-version": { data: { id: newest.id } } } } })
    }))

  it.live("is not of a newer configuration that was uploaded for a saved plan, unless it names that one", () =>
    Effect.gen(function*() {
      const { id, me } = yield* ready
      const uploaded = yield* me.upload(id, archive)
      const asStock = { speculative: false, provisional: true, "auto-queue-runs": false }
      const made = yield* me.as("POST", tfePath.configurationVersions(id), {
        data: { type: "configuration-versions", attributes: asStock }
      })
      yield* ask(made.json.data.attributes["upload-url"], undefined, "PUT", archiveOf({ "main.tf": "# not reviewed" }))
      const runs = [yield* me.run(id, { "save-plan": true }, made.json.data.id), yield* me.run(id)]
      expect(runs.map(({ json }) => json.data.relationships["configuration-version"].data.id)).toEqual([made.json.data.id, uploaded.id])
    }))

  it.live("is not started by an upload: a version that asks for that is not made", () =>
    Effect.gen(function*() {
      const { id, me } = yield* ready
      const { json, status } = yield* me.as("POST", tfePath.configurationVersions(id), {
        data: { attributes: { "auto-queue-runs": true } }
      })
      expect([status, json.errors[0].detail]).toEqual([
        422,
        "No upload starts a run here, so no configuration version was made; leave auto-queue-runs out, and start the run when the archive is uploaded."
      ])
    }))

  it.live("is of a configuration that was made without an attribute", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const path = tfePath.configurationVersions(yield* me.workspace("demo"))
      expect((yield* me.as("POST", path, { data: { type: "configuration-versions" } })).status).toBe(201)
    }))
})

describe("a step of a run", () =>
  it.effect("is shown as running for a second after its end, though the run goes on at once: a stock client that hears of the end reads no more of its log", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const id = yield* me.start("demo")
      const statuses = Effect.map(
        me.as("GET", `/api/v2/runs/${id}?include=plan`),
        ({ json }) => [json.data, ...json.included].map(({ attributes }) => attributes.status)
      )
      yield* planWith(url)
      expect(yield* statuses).toEqual(["planned", "running"])
      yield* TestClock.adjust(999)
      expect(yield* statuses).toEqual(["planned", "running"])
      yield* TestClock.adjust(1)
      expect(yield* statuses).toEqual(["planned", "finished"])
    })))

describe("a request for a run that comes again, as stock clients send it when the answer is lost", () => {
  const attributes = { message: "m", "auto-apply": true, "replace-addrs": ["a.b"], variables: [{ key: "region", value: "\"eu\"" }] }

  it.live("gets the run that it started, also at the same moment, and leaves none beside it", () =>
    Effect.gen(function*() {
      const { id, me } = yield* ready
      const version = (yield* me.upload(id, archive)).id
      const both = yield* Effect.all([me.run(id, attributes, version), me.run(id, attributes, version)], { concurrency: "unbounded" })
      const again = yield* me.run(id, attributes, version)
      const { id: run } = again.json.data
      expect([...both, again].map(({ json, status }) => [status, json.data.id])).toEqual([[201, run], [201, run], [201, run]])
      expect((yield* me.as("GET", `/api/v2/workspaces/${id}/runs`)).json.data).toHaveLength(1)
      const actions = (yield* me.as("GET", auditPath.run(run))).json.entries.map(({ action }: { action: string }) => action)
      expect(actions).toEqual(["POST /api/v2/runs (repeated)", "POST /api/v2/runs (repeated)", "POST /api/v2/runs"])
    }))

  it.live.each<{ what: string; other: object; isNamed?: false; isOfAnother?: true }>([
    { what: "asks for something else", other: { "auto-apply": false } },
    { what: "says something else", other: { message: "again" } },
    { what: "has another value", other: { variables: [{ key: "region", value: "\"us\"" }] } },
    { what: "replaces something else", other: { "replace-addrs": ["a.c"] } },
    { what: "is of another configuration version", other: {}, isOfAnother: true },
    { what: "names no configuration version", other: {}, isNamed: false }
  ])("starts another run when it $what", ({ isNamed = true, isOfAnother = false, other }) =>
    Effect.gen(function*() {
      const { id, me } = yield* ready
      const version = (yield* me.upload(id, archive)).id
      const first = yield* me.run(id, attributes, isNamed ? version : undefined)
      const second = isOfAnother ? (yield* me.upload(id, archive)).id : version
      const again = yield* me.run(id, { ...attributes, ...other }, isNamed ? second : undefined)
      expect([first.status, again.status]).toEqual([201, 201])
      expect(again.json.data.id).not.toBe(first.json.data.id)
    }))
})

describe("a wish for the run that was applied before", () => {
  const wanted = { message: "Triggered from CI", "auto-apply": true }

  it.live("starts another one once a later run of its version has begun to change something, as a destroy between two applies", () =>
    Effect.gen(function*() {
      const { id, me, url } = yield* ready
      const version = (yield* me.upload(id, archive)).id
      const asked = (more: object = {}) => Effect.map(me.run(id, { ...wanted, ...more }, version), ({ json }) => json.data.id)
      const applied = Effect.gen(function*() {
        yield* planWith(url)
        const apply = worker(url, yield* agent(url).take)
        yield* apply.as("GET", taskPath.assignment)
        yield* apply.result(succeeded())
      })
      const first = yield* asked()
      yield* applied
      const destroying = yield* asked({ "is-destroy": true })
      yield* planWith(url)
      expect(yield* asked()).toBe(first)
      const destroy = worker(url, yield* agent(url).take)
      yield* destroy.as("GET", taskPath.assignment)
      const third = yield* asked()
      expect([first, destroying]).not.toContain(third)
      expect(yield* asked()).toBe(third)
    }))
})

describe("a run's own variable in the place of a sensitive one", () => {
  it.live("is shown to no person, and is sensitive to the worker, as the workspace was when the run was made, or is now", () =>
    Effect.gen(function*() {
      const { id, me, url } = yield* ready
      const set = (attributes: object) => me.as("POST", tfePath.variables(id), { data: { attributes } })
      const variables = [{ key: "password", value: "\"s3cret\"" }, { key: "region", value: "\"eu\"" }]
      const { id: run } = (yield* me.run(id, { variables })).json.data
      yield* set({ key: "password", value: "of the workspace", sensitive: true })
      const made = yield* me.run(id, { variables })
      const shown = yield* me.as("GET", `/api/v2/runs/${run}`)
      for (const { json } of [made, shown]) {
        expect(json.data.attributes.variables).toEqual([{ key: "password", value: null }, { key: "region", value: "\"eu\"" }])
      }
      const details = yield* worker(url, yield* agent(url).take).as("GET", taskPath.assignment)
      expect(details.json.variables).toEqual([
        { name: "password", value: "\"s3cret\"", category: "terraform", hcl: true, sensitive: true },
        { name: "region", value: "\"eu\"", category: "terraform", hcl: true }
      ])
      yield* set({ key: "password", value: "of the workspace", sensitive: false })
      expect((yield* me.as("GET", `/api/v2/runs/${run}`)).json.data.attributes.variables).toEqual(variables)
      const stays = yield* me.as("GET", `/api/v2/runs/${made.json.data.id}`)
      expect(stays.json.data.attributes.variables).toEqual(made.json.data.attributes.variables)
    }))
})
