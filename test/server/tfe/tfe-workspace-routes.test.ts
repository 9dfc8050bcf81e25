// What a stock client asks of a workspace and this server does not have: nothing of it is taken for a smaller wish.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { request } from "node:http"
import { join } from "node:path"
import { poolId } from "../../../src/schema/api/pools.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { type Answer, directory, person, serve, server, userToken } from "../live-server.ts"

const workspaces = tfePath.workspaces("default")
const workspace = (attributes: object, relationships: object = {}) => ({ data: { type: "workspaces", attributes, relationships } })
const said = ({ json, status }: Answer) => [status, json.errors[0].detail]
const noTags =
  "The workspaces of this server have no tags, so none is chosen by them; name the one that you mean, as in workspaces { name = \"demo\" }."
const noProjects = "This server has no projects; leave the project out, and name the workspace alone, as in workspaces { name = \"demo\" }."

describe("the list of workspaces", () => {
  it.live.each([
    { filter: "search[tags]=network", sentence: noTags },
    { filter: "search[tags]=", sentence: noTags },
    { filter: "search%5Btags%5D=network&page%5Bnumber%5D=1", sentence: noTags },
    { filter: "search[exclude-tags]=old", sentence: noTags },
    { filter: "filter[tagged][0][key]=network", sentence: noTags },
    { filter: "filter[project][id]=prj-1", sentence: noProjects },
    {
      filter: "search[wildcard-name]=net*",
      sentence: "Workspaces are found here by search[name] alone, so search[wildcard-name] would find others too; leave it out."
    },
    {
      filter: "search[name]=bill&filter[current-run][status]=applied",
      sentence: "Workspaces are found here by search[name] alone, so filter[current-run][status] would find others too; leave it out."
    }
  ])("selects none by what it does not know: $filter", ({ filter, sentence }) =>
    Effect.gen(function*() {
      const me = person(yield* server)
      yield* me.workspace("billing-prod")
      expect(said(yield* me.as("GET", `${workspaces}?${filter}`))).toEqual([422, sentence])
    }))

  it.live("is searched by name, in pages, and takes what only adds to it or orders it", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      yield* me.workspace("billing-prod")
      yield* me.workspace("network")
      const listed = yield* me.as("GET", `${workspaces}?search[name]=net&page[number]=1&page[size]=20&include=organization&sort=name`)
      expect([listed.status, listed.json.data.map(({ attributes }: { attributes: { name: string } }) => attributes.name)])
        .toEqual([200, ["network"]])
    }))
})

describe("a workspace", () => {
  const tag = { data: [{ type: "tags", attributes: { name: "network" } }] }

  it.live.each([
    { relationships: { tags: tag }, sentence: noTags },
    { relationships: { "tag-bindings": tag }, sentence: noTags },
    { relationships: { project: { data: { type: "projects", id: "prj-1" } } }, sentence: noProjects },
    {
      relationships: { "agent-pool": { data: { type: "agent-pools", id: "apool-1" } } },
      sentence: "This server does not keep agent-pool of a workspace, so it would have no effect; leave it out."
    }
  ])("is neither made nor changed with $relationships", ({ relationships, sentence }) =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const id = yield* me.workspace("demo")
      expect(said(yield* me.as("POST", workspaces, workspace({ name: "network" }, relationships)))).toEqual([422, sentence])
      expect((yield* me.as("GET", tfePath.workspace("default", "network"))).status).toBe(404)
      expect(said(yield* me.as("PATCH", `/api/v2/workspaces/${id}`, workspace({}, relationships)))).toEqual([422, sentence])
    }))

  it.live("gets no tags afterwards", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const id = yield* me.workspace("demo")
      expect(said(yield* me.as("POST", `/api/v2/workspaces/${id}/relationships/tags`, tag))).toEqual([422, noTags])
      expect(said(yield* me.as("PATCH", `/api/v2/workspaces/${id}/tag-bindings`, tag))).toEqual([422, noTags])
    }))

  it.live.each([
    {
      attributes: { name: "renamed" },
      sentence:
        `A workspace keeps the name that it was made with, here demo; make another workspace with the other name and bring it the state before its first run, or that makes everything once more (docs/state.md, "Take a state elsewhere").`
    },
    {
      attributes: { "execution-mode": "local" },
      sentence: "Of each workspace here, execution-mode is \"remote\", or \"agent\" with an agent-pool-id; leave any other out."
    },
    { attributes: { operations: false }, sentence: "Of each workspace here, operations is true and stays so; leave it out." },
    {
      attributes: { "allow-destroy-plan": false },
      sentence: "Of each workspace here, allow-destroy-plan is true and stays so; leave it out."
    },
    {
      attributes: { "auto-apply": true, "vcs-repo": { identifier: "a/b" } },
      sentence: "This server does not keep vcs-repo of a workspace, so it would have no effect; leave it out."
    },
    {
      attributes: { "auto-apply": true, description: "Ours" },
      sentence: "This server does not keep description of a workspace, so it would have no effect; leave it out."
    }
  ])("is not changed in part: $attributes", ({ attributes, sentence }) =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const id = yield* me.workspace("demo")
      expect(said(yield* me.as("PATCH", `/api/v2/workspaces/${id}`, workspace(attributes)))).toEqual([422, sentence])
      expect((yield* me.as("GET", `/api/v2/workspaces/${id}`)).json.data.attributes).toMatchObject({ name: "demo", "auto-apply": false })
    }))

  it.live("is made and changed with what it keeps, what is so already, and what asks for nothing", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const asked = {
        name: "demo",
        "terraform-version": "1.12.6",
        "auto-apply": true,
        "working-directory": null,
        "execution-mode": "remote",
        operations: null,
        "queue-all-runs": false,
        description: "",
        "trigger-prefixes": [],
        "vcs-repo": null
      }
      const made = yield* me.as("POST", workspaces, workspace(asked, { tags: { data: [] }, project: { data: null } }))
      expect([made.status, made.json.data.attributes]).toMatchObject([201, { "auto-apply": true, "terraform-version": "1.12.6" }])
      const changed = yield* me.as("PATCH", `/api/v2/workspaces/${made.json.data.id}`, workspace({ ...asked, "auto-apply": false }))
      expect([changed.status, changed.json.data.attributes]).toMatchObject([200, { name: "demo", "auto-apply": false }])
    }))

  it.live("is changed as it is once the request has come whole: here it has no pool any more", () =>
    Effect.gen(function*() {
      const made = yield* directory
      writeFileSync(join(made, "pool.token"), "pool-token-0123456789 west\n")
      const url = yield* serve(made)
      const me = person(url)
      const id = yield* me.workspace("demo", { "execution-mode": "agent", "agent-pool-id": poolId("west") })
      const body = JSON.stringify(workspace({ "execution-mode": "agent", "auto-apply": true }))
      const headers = { authorization: `Bearer ${userToken}`, "content-length": Buffer.byteLength(body) }
      const sent = request(`${url}/api/v2/workspaces/${id}`, { method: "PATCH", headers: { ...headers, expect: "100-continue" } })
      const answer = Effect.callback<number | undefined>((resume) => {
        sent.once("response", ({ statusCode }) => resume(Effect.succeed(statusCode)))
        sent.end(body)
      })
      yield* Effect.callback<void>((resume) => void sent.once("continue", () => resume(Effect.void)).flushHeaders())
      yield* me.as("PATCH", `/api/v2/workspaces/${id}`, workspace({ "execution-mode": "remote" }))
      expect(yield* answer).toBe(422)
      expect((yield* me.as("GET", `/api/v2/workspaces/${id}`)).json.data.attributes).toMatchObject({ "auto-apply": false })
    }))
})

describe("a workspace that is there", () => {
  it.live.each([
    { by: "its id", at: (id: string) => `/api/v2/workspaces/${id}` },
    { by: "its name", at: () => tfePath.workspace("default", "demo") }
  ])("is changed by $by, and keeps its name and what it is not asked to change", ({ at }) =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const settings = { name: "demo", "auto-apply": true, "working-directory": "live" }
      const path = at((yield* me.as("POST", workspaces, workspace(settings))).json.data.id)
      const changed = yield* me.as("PATCH", path, workspace({ "auto-apply": false }))
      expect([changed.status, changed.json.data.attributes]).toMatchObject([200, { ...settings, "auto-apply": false }])
      expect((yield* me.as("GET", tfePath.workspace("default", "demo"))).json.data).toEqual(changed.json.data)
      expect(said(yield* me.as("PATCH", path, workspace({ name: "other" })))).toMatchObject([422, expect.stringContaining("demo")])
    }))

  it.live("is changed by its name only where it is", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      yield* me.workspace("demo")
      for (const path of [tfePath.workspace("default", "other"), tfePath.workspace("elsewhere", "demo")]) {
        expect((yield* me.as("PATCH", path, workspace({ "auto-apply": true }))).status).toBe(404)
      }
    }))

  it.live("is not taken for one with other settings, which the next run would go by", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const settings = { name: "demo", "auto-apply": true, "terraform-version": "1.12.6", "working-directory": "live" }
      const made = (yield* me.as("POST", workspaces, workspace(settings))).json.data
      for (
        const other of [{ "auto-apply": false }, { "terraform-version": "latest" }, { "working-directory": "" }, {
          ...settings,
          "auto-apply": false
        }]
      ) {
        expect(said(yield* me.as("POST", workspaces, workspace({ name: "demo", ...other }))), JSON.stringify(other)).toEqual([
          422,
          `The workspace demo exists with other settings, so nothing was made; change them with PATCH /api/v2/workspaces/${made.id}, or leave them out.`
        ])
      }
      expect((yield* me.as("GET", tfePath.workspace("default", "demo"))).json.data).toEqual(made)
    }))

  it.live("is answered to who asks for no settings, or for those that it has, as clients do that make it at once", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const settings = { name: "demo", "auto-apply": true, "working-directory": "live" }
      const made = (yield* me.as("POST", workspaces, workspace(settings))).json.data
      for (const asked of [settings, { name: "demo" }, { name: "demo", "auto-apply": null, "terraform-version": null }]) {
        const again = yield* me.as("POST", workspaces, workspace(asked))
        expect([again.status, again.json.data]).toEqual([201, made])
      }
    }))
})

describe("an environment variable that no stage can have", () =>
  it.live.each([
    { key: "UID", value: "1", says: "The environment variable UID belongs to the runner's shell; choose another name." },
    {
      key: "C-D",
      value: "1",
      says: "The environment variable \"C-D\" cannot be set; use only letters, digits and underscores in its name."
    },
    { key: "A", value: "b\0", says: "The environment variable A has a NUL byte in its value; remove it." }
  ])("is refused: $key", ({ key, says, value }) =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const path = tfePath.variables(yield* me.workspace("demo"))
      const set = (category: string) => me.as("POST", path, { data: { attributes: { key, value, category } } })
      expect(said(yield* set("env"))).toEqual([422, says])
      expect((yield* set("terraform")).status).toBe(201)
    })))

describe("the variables of a workspace", () => {
  it.live("are as sensitive as before where a client sets one again and does not say, as where a secret is rotated", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const path = tfePath.variables(yield* me.workspace("demo"))
      const set = Effect.fnUntraced(function*(value: string, said: object) {
        const { json } = yield* me.as("POST", path, { data: { attributes: { key: "PASSWORD", value, category: "env", ...said } } })
        return [json.data.attributes.value, json.data.attributes.sensitive]
      })
      expect(yield* set("open", {})).toEqual(["open", false])
      expect(yield* set("old", { sensitive: true })).toEqual([null, true])
      expect(yield* set("new", {})).toEqual([null, true])
      expect(yield* set("newer", { sensitive: null })).toEqual([null, true])
      expect(yield* set("open again", { sensitive: false })).toEqual(["open again", false])
    }))

  it.live("are each found by its id: one that is not found is gone for clients, which then do not delete it", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const path = tfePath.variables(yield* me.workspace("demo"))
      const { data } = (yield* me.as("POST", path, { data: { attributes: { key: "token", value: "s3cret", sensitive: true } } })).json
      const found = yield* me.as("GET", `${path}/${data.id}`)
      expect([found.status, found.json.data]).toEqual([200, data])
      const other = tfePath.variables(yield* me.workspace("other"))
      expect((yield* me.as("GET", `${other}/${data.id}`)).status).toBe(404)
    }))

  it.live("are all that a run gets, so both lists of them say the same", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const id = yield* me.workspace("demo")
      yield* me.as("POST", tfePath.variables(id), { data: { attributes: { key: "token", value: "s3cret", sensitive: true } } })
      const all = yield* me.as("GET", `/api/v2/workspaces/${id}/all-vars`)
      expect([all.status, all.json]).toEqual([200, (yield* me.as("GET", tfePath.variables(id))).json])
      expect((yield* me.as("GET", "/api/v2/workspaces/ws-none/all-vars")).status).toBe(404)
    }))
})

describe("what this server has not", () => {
  it.live("has no projects, and makes none", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const projects = "/api/v2/organizations/default/projects"
      expect((yield* me.as("GET", `${projects}?filter[names]=team`)).json.data).toEqual([])
      expect(said(yield* me.as("POST", projects, { data: { type: "projects", attributes: { name: "team" } } }))).toEqual([422, noProjects])
      expect((yield* me.as("GET", projects.replace("default", "other"))).status).toBe(404)
    }))

  it.live("deletes no workspace by its name or id, safely or not: of a 404, clients say that they have deleted it", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const id = yield* me.workspace("demo")
      for (const place of [workspaces, "/api/v2/workspaces"]) {
        const itself = place === workspaces ? `${place}/demo` : `${place}/${id}`
        for (const [method, path] of [["DELETE", ""], ["POST", "/actions/safe-delete"]] as const) {
          expect(said(yield* me.as(method, itself + path)), `${method} ${itself}${path}`).toEqual([
            422,
            "No workspace is deleted here, so demo stays, with its states and runs; where no other workspace or backend has taken its state over, destroy what it made with: agent-job run DIR --workspace demo --destroy"
          ])
          expect((yield* me.as(method, `${place}/none${path}`)).status).toBe(404)
        }
      }
      expect((yield* me.as("GET", `${workspaces}/demo`)).status).toBe(200)
    }))

  it.live("changes no variable by its id, and says how else", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const path = tfePath.variables(yield* me.workspace("demo"))
      const { id } = (yield* me.as("POST", path, { data: { attributes: { key: "region", value: "eu" } } })).json.data
      expect(said(yield* me.as("PATCH", `${path}/${id}`, { data: { attributes: { value: "us" } } }))).toEqual([
        422,
        "A variable is not changed by its id here; set it again by its name, as with: agent-job vars set demo NAME"
      ])
    }))

  it.live("takes no state through the TFE API, and says which way leads in", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const id = yield* me.workspace("demo")
      for (const path of ["actions/lock", "actions/unlock", "state-versions"]) {
        expect(said(yield* me.as("POST", `/api/v2/workspaces/${id}/${path}`, {})), path).toEqual([
          422,
          `No state is written through the TFE API, as with a cloud block; use a backend "http" with the address ${url}/api/state/v1/workspaces/demo, lock_method PUT and unlock_method DELETE, as docs/state.md says.`
        ])
      }
      expect(said(yield* me.as("POST", `/api/v2/workspaces/${id}/actions/force-unlock`, {}))).toEqual([
        422,
        "No lock is opened through the TFE API; see who has it, and open it, with: agent-job state unlock demo --force"
      ])
      expect((yield* me.as("POST", "/api/v2/workspaces/ws-none/actions/lock", {})).status).toBe(404)
    }))

  it.live("makes no query, and says where one can be made", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      expect(said(yield* me.as("POST", "/api/v2/queries", { data: { type: "queries", attributes: {} } }))).toEqual([
        422,
        "This server makes no queries; run terraform query where the backend is \"http\", as docs/state.md says."
      ])
    }))
})
