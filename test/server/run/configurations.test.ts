import { describe, expect, it } from "@effect/vitest"
import { Context, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { readdirSync } from "node:fs"
import { request } from "node:http"
import { join } from "node:path"
import { constants, deflateRawSync, gunzipSync, gzipSync } from "node:zlib"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { taskHeader, taskPath } from "../../../src/schema/api/task-api.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { instantAfter } from "../../../src/server/store/instants.ts"
import { until } from "../../until.ts"
import {
  agent,
  archiveOf,
  ask,
  directory,
  person,
  type Resource,
  serve,
  serveAt,
  serveOpenly,
  server,
  sha256,
  taskUid,
  userToken,
  worker
} from "../live-server.ts"

/** Starts an upload of `bytes` bytes that stops half-way; `status` returns that of the answer, once there is one. */
const halfSent = (link: string, bytes: number, headers: Record<string, string> = {}) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let status: number | undefined
      const sent = request(link, { method: "PUT", headers: { "content-length": bytes, ...headers } })
      sent.on("response", (response) => (status = response.resume().statusCode))
      sent.on("error", () => undefined) // the connection was closed
      sent.write(Buffer.alloc(bytes / 2))
      return { sent, status: () => status }
    }),
    ({ sent }) => Effect.sync(() => sent.destroy())
  )

/** Returns how many bodies of a server on the directory are on their way. */
const onTheirWay = (dir: string): number => readdirSync(join(dir, "data", "blobs")).filter((name) => name.startsWith("new-")).length

describe("an upload", () => {
  it.live("is taken once; the same archive again is success, another one is refused", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const archive = archiveOf({ "main.tf": "" })
      const version = yield* me.upload(yield* me.workspace("demo"), archive)
      expect((yield* me.as("GET", `/api/v2/configuration-versions/${version.id}`)).json.data.attributes).toMatchObject({
        status: "uploaded"
      })
      expect((yield* ask(version.uploadUrl, undefined, "PUT", archive)).status).toBe(204)
      expect((yield* ask(version.uploadUrl, undefined, "PUT", archiveOf({ "other.tf": "" }))).status).toBe(409)
    }))

  it.live("of the same length does not replace the archive that is there", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const uncompressed = (content: string) => gzipSync(gunzipSync(archiveOf({ "main.tf": content })), { level: 0 })
      const [archive, another] = [uncompressed("# a"), uncompressed("# b")]
      expect(another.byteLength).toBe(archive.byteLength)
      const workspaceId = yield* me.workspace("demo")
      const { uploadUrl } = yield* me.upload(workspaceId, archive)
      const refused = yield* ask(uploadUrl, undefined, "PUT", another)
      expect([refused.status, refused.text]).toEqual([409, expect.stringContaining("has another archive already")])
      yield* me.run(workspaceId)
      expect((yield* agent(url).take).archiveSha256).toBe(sha256(archive))
    }))

  it.live("is one of two that come at once; the other one hears that it is not kept", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const made = yield* me.as("POST", tfePath.configurationVersions(yield* me.workspace("demo")), {
        data: { type: "configuration-versions", attributes: {} }
      })
      const put = (name: string) => ask(made.json.data.attributes["upload-url"], undefined, "PUT", archiveOf({ [name]: "" }))
      const answers = yield* Effect.all([put("one.tf"), put("two.tf")], { concurrency: 2 })
      expect(answers.map(({ status }) => status).sort()).toEqual([204, 409])
    }))

  it.live("that does not go on is ended by the next one, and leaves nothing on the disk", () =>
    Effect.gen(function*() {
      const dir = yield* directory
      const url = yield* serve(dir)
      const me = person(url)
      const made = yield* me.as("POST", tfePath.configurationVersions(yield* me.workspace("demo")), {
        data: { type: "configuration-versions", attributes: {} }
      })
      const link: string = made.json.data.attributes["upload-url"]
      const stopped: Array<Effect.Success<ReturnType<typeof halfSent>>> = []
      for (let n = 0; n < 8; n++) {
        stopped.push(yield* halfSent(link, 2 * 1024 * 1024))
        yield* until(() => stopped.filter(({ status }) => status() === undefined).length === 1 && onTheirWay(dir) === 1)
      }
      expect((yield* ask(link, undefined, "PUT", archiveOf({ "main.tf": "" }))).status).toBe(204)
      yield* until(() => stopped.every(({ status }) => status() === 409))
      expect(onTheirWay(dir)).toBe(0)
    }))

  it.live("of a version that has its archive is refused by its length, before it comes", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const { uploadUrl } = yield* me.upload(yield* me.workspace("demo"), archiveOf({ "main.tf": "" }))
      const { status } = yield* halfSent(uploadUrl, 2 * 1024 * 1024)
      yield* until(() => status() === 409)
    }))

  it.live("is refused when it is no gzipped tar, and the version says so until a good one comes", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const workspaceId = yield* me.workspace("demo")
      for (
        const bad of [
          new Uint8Array(0),
          Buffer.from("not an archive"),
          gzipSync("not a tar"),
          gzipSync(Buffer.alloc(2000, "x")),
          archiveOf({ a: "b" }).subarray(0, 20)
        ]
      ) {
        const version = yield* me.upload(workspaceId, bad)
        expect([version.status, version.answer.json.errors[0].detail]).toEqual([422, expect.stringContaining("not a gzipped tar archive")])
        const told = Effect.map(me.as("GET", `/api/v2/configuration-versions/${version.id}`), ({ json }) => json.data.attributes)
        expect(yield* told).toMatchObject({ status: "errored", "error-message": "The upload was not a gzipped tar archive." })
        expect((yield* ask(version.uploadUrl, undefined, "PUT", archiveOf({ a: "b" }))).status).toBe(204)
        expect(yield* told).toMatchObject({ status: "uploaded", "error-message": null })
      }
    }))

  it.live("is taken whatever size its first bytes unpack to, of which no more than the first block is looked at", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const workspaceId = yield* me.workspace("demo")
      const begun = gunzipSync(archiveOf({ "main.tf": "" })).subarray(0, 512)
      const packed = (content: Uint8Array, end: number) => deflateRawSync(content, { level: 9, finishFlush: end })
      const member = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])
      const inTheEnd = gzipSync(Buffer.concat([begun, Buffer.alloc(66 * 1024 * 1024)]), { level: 9 })
      const tornLater = Buffer.concat([
        member,
        packed(Buffer.concat([begun, Buffer.alloc(1024 * 1024)]), constants.Z_FULL_FLUSH),
        Buffer.alloc(99, 255)
      ])
      const tornInIt = Buffer.concat([member, packed(begun.subarray(0, 500), constants.Z_FULL_FLUSH), Buffer.alloc(99, 255)])
      const empty = gzipSync(Buffer.alloc(10 * 1024)) // as tar writes an archive of no file
      for (const [archive, status] of [[inTheEnd, 204], [tornLater, 204], [tornInIt, 422], [empty, 204]] as const) {
        expect((yield* me.upload(workspaceId, archive)).status).toBe(status)
      }
    }))

  it.live("has a day from the making of its version on, and after that only the archive that came may come again", () =>
    Effect.gen(function*() {
      const { context, url } = yield* Effect.flatMap(directory, (made) => serveOpenly(made))
      const me = person(url)
      const workspaceId = yield* me.workspace("demo")
      const good = yield* me.upload(workspaceId, archiveOf({ "main.tf": "" }))
      const spoiled = yield* me.upload(workspaceId, Buffer.from("not an archive"))
      const age = (hours: number) =>
        Effect.flatMap(
          instantAfter(-hours * 3600_000),
          (createdAt) => Context.getUnsafe(context, SqlClient.SqlClient)`UPDATE configurationVersions SET createdAt = ${createdAt}`
        )
      yield* age(25)
      const late = yield* ask(spoiled.uploadUrl, undefined, "PUT", archiveOf({ "main.tf": "" }))
      expect([late.status, late.json.errors[0].detail]).toEqual([
        410,
        "This configuration version was made more than 24 hours ago and has no archive, so its link takes none any more; create a new version."
      ])
      expect((yield* ask(good.uploadUrl, undefined, "PUT", archiveOf({ "main.tf": "" }))).status).toBe(204)
      yield* age(23)
      expect((yield* ask(spoiled.uploadUrl, undefined, "PUT", archiveOf({ "main.tf": "" }))).status).toBe(204)
    }))

  it.live("is not there under a wrong secret", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const { uploadUrl } = yield* me.upload(yield* me.workspace("demo"), archiveOf({}))
      expect((yield* ask(uploadUrl.slice(0, -1) + (uploadUrl.endsWith("0") ? "1" : "0"), undefined, "PUT", archiveOf({}))).status).toBe(404)
    }))

  it.live.each([
    { forwarded: "https", scheme: "https:" },
    { forwarded: "HTTPS", scheme: "https:" },
    { forwarded: "https, http", scheme: "https:" },
    { forwarded: " https ,http", scheme: "https:" },
    { forwarded: "http, https", scheme: "http:" },
    { forwarded: "javascript", scheme: "http:" },
    { forwarded: "", scheme: "http:" }
  ])(
    "has its address from the request, and from what the first proxy was asked by: $forwarded",
    ({ forwarded, scheme }) =>
      Effect.gen(function*() {
        const url = yield* server
        const workspaceId = yield* person(url).workspace("demo")
        const made = yield* ask(url + tfePath.configurationVersions(workspaceId), userToken, "POST", { data: { attributes: {} } }, {
          "x-forwarded-proto": forwarded
        })
        expect(made.json.data.attributes["upload-url"]).toMatch(new RegExp(`^${url.replace("http:", scheme)}/api/v2/uploads/cv-`, "u"))
      })
  )

  it.live.each([
    { publicUrl: "https://jobs.example.com", path: "" },
    { publicUrl: "https://example.com/agent-job/", path: "/agent-job" }
  ])(
    "has the address by which clients reach the server, $publicUrl, as has all else that it names",
    ({ path, publicUrl }) =>
      Effect.gen(function*() {
        const url = yield* serveAt(yield* directory, publicUrl)
        const me = person(url)
        expect((yield* ask(url + tfePath.discovery, undefined)).json).toEqual({
          "tfe.v2": `${path}/api/v2/`,
          "tfe.v2.1": `${path}/api/v2/`,
          "tfe.v2.2": `${path}/api/v2/`,
          "state.v2": `${path}/api/v2/`
        })
        const workspace = yield* me.as("POST", tfePath.workspaces("default"), { data: { attributes: { name: "demo" } } })
        const { id } = workspace.json.data
        const version = yield* me.as("POST", tfePath.configurationVersions(id), { data: { attributes: {} } })
        expect(version.json.data.attributes["upload-url"]).toMatch(new RegExp(`^${publicUrl.replace(/\/$/u, "")}/api/v2/uploads/cv-`, "u"))
        expect([workspace, version].map(({ headers }) => headers.get("location"))).toEqual([
          `${path}/api/v2/workspaces/${id}`,
          `${path}/api/v2/configuration-versions/${version.json.data.id}`
        ])
      })
  )
})

describe("a saved plan", () => {
  it.live("needs its digest, is kept once, and is not there before", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo")
      const planner = worker(url, yield* agent(url).take)
      expect(yield* planner.as("GET", taskPath.plan)).toMatchObject({
        status: 404,
        json: { error: "no-plan", message: expect.stringContaining("start it again, so that it is planned") }
      })
      expect((yield* planner.as("PUT", taskPath.plan, "the plan")).status).toBe(422)
      const torn = yield* planner.as("PUT", taskPath.plan, "the pla", { [taskHeader.digest]: sha256("the plan") })
      expect([torn.status, torn.json.error]).toEqual([409, "digest-mismatch"])
      expect((yield* planner.savePlan("the plan")).status).toBe(204)
      expect((yield* planner.savePlan("the plan")).status).toBe(204)
      expect((yield* planner.savePlan("another")).json).toMatchObject({
        error: "plan-exists",
        message: expect.stringMatching(/^The run run-\w+ has another saved plan already, which is kept; start a new run for this one\.$/u)
      })
      const read = yield* planner.as("GET", taskPath.plan)
      expect([read.text, read.headers.get(taskHeader.digest), read.headers.get("content-length")]).toEqual([
        "the plan",
        sha256("the plan"),
        "8"
      ])
    }))

  it.live("that does not go on is ended by the next one of its stage and by no other's, so that a stage has the room of one", () =>
    Effect.gen(function*() {
      const dir = yield* directory
      const url = yield* serve(dir)
      for (const name of ["demo", "other"]) yield* person(url).start(name)
      const [one, other] = yield* agent(url).acquire()
      if (one === undefined || other === undefined) throw new Error("expected two assignments")
      const halfPlan = ({ taskToken }: typeof one) =>
        halfSent(url + taskPath.plan, 2 * 1024 * 1024, {
          authorization: `Bearer ${taskToken}`,
          [taskHeader.taskUid]: taskUid,
          [taskHeader.digest]: sha256("the plan")
        })
      const ofOther = yield* halfPlan(other)
      yield* until(() => onTheirWay(dir) === 1)
      const stopped: Array<Effect.Success<ReturnType<typeof halfSent>>> = []
      for (let n = 0; n < 8; n++) {
        stopped.push(yield* halfPlan(one))
        yield* until(() => stopped.filter(({ status }) => status() === undefined).length === 1 && onTheirWay(dir) === 2)
      }
      expect((yield* worker(url, one).savePlan("the plan")).status).toBe(204)
      yield* until(() => stopped.every(({ status }) => status() === 409))
      expect([ofOther.status(), onTheirWay(dir)]).toEqual([undefined, 1])
    }))
})

describe("a body that was stored before it was refused", () =>
  it.live("leaves nothing on the disk, whether an archive or a plan", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const url = yield* serve(made)
      const me = person(url)
      yield* me.start("demo")
      const planner = worker(url, yield* agent(url).take)
      yield* planner.savePlan("the plan")
      const workspaceId = yield* me.workspace("demo")
      const { uploadUrl } = yield* me.upload(workspaceId, archiveOf({ "main.tf": "" }))
      const files = () => readdirSync(join(made, "data", "blobs")).sort()
      const before = files()
      expect((yield* ask(uploadUrl, undefined, "PUT", archiveOf({ "other.tf": "" }))).status).toBe(409)
      expect((yield* me.upload(workspaceId, Buffer.from("not an archive"))).status).toBe(422)
      for (const plan of ["another", "and another"]) expect((yield* planner.savePlan(plan)).status).toBe(409)
      expect(files()).toEqual(before)
      expect((yield* planner.savePlan("the plan")).status).toBe(204)
    })))

describe("the same bytes", () =>
  it.live("sent many times at once are answered each as if alone, though the refused ones are removed meanwhile", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      yield* me.start("demo")
      const planner = worker(url, yield* agent(url).take)
      yield* planner.savePlan("the plan")
      const workspaceId = yield* me.workspace("demo")
      const atOnce = <A, E, R>(send: (index: number) => Effect.Effect<A, E, R>) =>
        Effect.all(Array.from({ length: 40 }, (_, index) => send(index)), { concurrency: 8 })
      const uploads = yield* atOnce(() => me.upload(workspaceId, Buffer.from("not an archive")))
      const plans = yield* atOnce(() => planner.savePlan("another"))
      expect([...new Set(uploads.map(({ status }) => status)), ...new Set(plans.map(({ status }) => status))]).toEqual([422, 409])
    })))

describe("a request that is not as expected", () => {
  it.live("is told which field, never its value", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const workspaceId = yield* me.workspace("demo")
      const bad = yield* me.as("POST", `/api/v2/workspaces/${workspaceId}/vars`, {
        data: { attributes: { key: "k", value: ["s3cret"], sensitive: true } }
      })
      expect([bad.status, bad.json.errors[0].detail]).toEqual([422, expect.stringContaining("data.attributes.value")])
      expect(bad.text).not.toContain("s3cret")
      expect((yield* me.as("POST", tfePath.workspaces("default"), { data: { attributes: { name: "a/b" } } })).json.errors[0].detail)
        .toContain("letters, digits")
      expect((yield* me.as("POST", tfePath.runs, "{ half")).status).toBe(422)
      expect((yield* me.as("POST", tfePath.runs, "")).status).toBe(422)
      expect((yield* agent(url).post("/api/pool/v1/acquire", { agent: "a", waitSeconds: 61, max: 1 })).status).toBe(422)
    }))

  it.live("is refused where it is not UTF-8, without whose letters a value would be another one", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const path = `/api/v2/workspaces/${yield* me.workspace("demo")}/vars`
      const set = (encoding: BufferEncoding) =>
        me.as("POST", path, Buffer.from(JSON.stringify({ data: { attributes: { key: "city", value: "Zürich" } } }), encoding))
      const { json, status } = yield* set("latin1")
      expect([status, json.errors[0].detail]).toEqual([422, expect.stringContaining("it is not UTF-8")])
      expect((yield* set("utf8")).json.data.attributes.value).toBe("Zürich")
    }))

  it.live.each([
    { what: "is nested more than 64 levels deep", most: 62, beyond: (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}` },
    { what: "has more than 10000 values", most: 9994, beyond: (count: number) => JSON.stringify(Array.from({ length: count }, () => 1)) }
  ])("is refused where it $what, even in what is passed over", ({ beyond, most, what }) =>
    Effect.gen(function*() {
      const url = yield* server
      const asked = (unknown: string) =>
        agent(url).post(poolPath.acquire, `{"agent": "a", "waitSeconds": 0, "max": 1, "unknown": {"of": ${unknown}}}`)
      expect((yield* asked(beyond(most))).status).toBe(200)
      const { json, status } = yield* asked(beyond(most + 1))
      expect([status, json.message]).toEqual([422, expect.stringContaining(what)])
    }))
})

describe("a workspace", () => {
  it.live("is listed by name, page by page, among those whose names have what is searched for", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      for (const name of ["b-dev", "c-dev", "a-dev", "a-prod"]) yield* me.workspace(name)
      const page = (query: string) =>
        Effect.map(
          me.as("GET", `${tfePath.workspaces("default")}?${query}`),
          ({ json }) => [json.data.map((_: Resource) => _.attributes.name), json.meta.pagination["next-page"]]
        )
      expect(yield* page("search[name]=-dev&page[size]=2")).toEqual([["a-dev", "b-dev"], 2])
      expect(yield* page("search[name]=-dev&page[size]=2&page[number]=2")).toEqual([["c-dev"], null])
      expect(yield* page("search[name]=A-")).toEqual([[], null])
      expect(yield* page("")).toEqual([["a-dev", "a-prod", "b-dev", "c-dev"], null])
    }))

  it.live("shows its variables without the sensitive values, and setting one again replaces it", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const workspaceId = yield* me.workspace("demo")
      const set = (attributes: object) => me.as("POST", `/api/v2/workspaces/${workspaceId}/vars`, { data: { attributes } })
      yield* set({ key: "token", value: "seen" })
      expect((yield* set({ key: "token", value: "s3cret", sensitive: true })).text).not.toContain("s3cret")
      yield* set({ key: "region", value: "eu" })
      yield* set({ key: "region", value: "us", hcl: true })
      const listed = yield* me.as("GET", `/api/v2/workspaces/${workspaceId}/vars`)
      expect(listed.text).not.toContain("s3cret")
      expect(listed.json.data.map((_: Resource) => [_.attributes.key, _.attributes.value, _.attributes.hcl])).toEqual([
        ["region", "us", true],
        ["token", null, false]
      ])
    }))

  it.live("loses a variable that is deleted, and none of another workspace", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const [one, other] = [yield* me.workspace("one"), yield* me.workspace("other")]
      const { json } = yield* me.as("POST", `/api/v2/workspaces/${one}/vars`, { data: { attributes: { key: "region", value: "eu" } } })
      const remove = (workspaceId: string) =>
        Effect.map(me.as("DELETE", `/api/v2/workspaces/${workspaceId}/vars/${json.data.id}`), ({ status }) => status)
      expect([yield* remove(other), yield* remove(one), yield* remove(one)]).toEqual([404, 204, 404])
      expect((yield* me.as("GET", `/api/v2/workspaces/${one}/vars`)).json.data).toEqual([])
    }))

  it.live("is what stock clients need before anything else", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      expect((yield* ask(`${url}/.well-known/terraform.json`, undefined)).json).toMatchObject({
        "tfe.v2": "/api/v2/",
        "tfe.v2.1": "/api/v2/"
      })
      expect((yield* me.as("GET", "/api/v2/ping")).headers.get("tfp-api-version")).toBe("2.6")
      expect((yield* me.as("GET", "/api/v2/organizations/default/entitlement-set")).json.data.attributes.operations).toBe(true)
      expect((yield* me.as("GET", tfePath.workspace("default", "demo"))).status).toBe(404)
      const workspaceId = yield* me.workspace("demo", { "working-directory": "live", "auto-apply": true })
      expect(
        (yield* me.as("PATCH", `/api/v2/workspaces/${workspaceId}`, { data: { attributes: { "terraform-version": "1.12.6" } } })).status
      ).toBe(200)
      const shown = (yield* me.as("GET", tfePath.workspace("default", "demo"))).json.data
      expect(shown).toMatchObject({
        id: workspaceId,
        attributes: {
          "execution-mode": "remote",
          "working-directory": "live",
          "auto-apply": true,
          "terraform-version": "1.12.6",
          permissions: { "can-queue-run": true }
        },
        relationships: { "current-run": { data: null } }
      })
      expect(
        (yield* me.as("PATCH", `/api/v2/workspaces/${workspaceId}`, { data: { attributes: { "working-directory": "../up" } } })).status
      ).toBe(422)
      expect((yield* me.as("GET", `/api/v2/workspaces/${workspaceId}/current-state-version`)).status).toBe(404)
      expect((yield* me.as("GET", `/api/v2/workspaces/${workspaceId}/current-state-version-outputs`)).json.data).toEqual([])
    }))
})
