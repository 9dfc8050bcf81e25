import { describe, expect, it, vi } from "@effect/vitest"
import { ConfigProvider, Context, Duration, Effect, Fiber, Layer, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { createServer } from "node:https"
import { join } from "node:path"
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from "node:tls"
import { AuditOf } from "../../../src/cli/server/audit-call.ts"
import { ServerClient } from "../../../src/cli/server/server-client.ts"
import { exitCodeOf, mayPass, type ServerFailure } from "../../../src/cli/terminal/failure.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { authority } from "../../http/certificates.ts"
import { forwardProxy, listening } from "../../http/forward-proxy.ts"
import { type Answer, ScriptedServer } from "../../kubernetes/scripted-server.ts"
import { agent, archiveOf, directory, person, planWith, serve, sha256, userToken, worker } from "../../server/live-server.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { planned, run, stage } from "../run-views.ts"

/** Returns a client that lives as long as the test. */
const at = (url: string) =>
  Effect.map(
    Layer.build(ServerClient.layer({ url, token: Option.some(Redacted.make(userToken)) })),
    (built) => Context.get(built, ServerClient)
  )
const environment = (variables: Record<string, string>) => ConfigProvider.layer(ConfigProvider.fromUnknown(variables))
const document = (id: string, attributes: object = {}) => ({ data: { id, type: "x", attributes } })
const workspace = (id: string) => document(id, { "working-directory": "" })
const refusal = (status: number, detail: string) => ({ status, body: { errors: [{ status: String(status), title: "no", detail }] } })

const log = { headers: { "content-type": "application/octet-stream" } }
const uploadUrl = "/api/v2/uploads/cv-1/secret"
/** The answer that makes a configuration version, by a server that knows itself as `known`. */
const configurationVersion = (known: string) => ({
  status: 201,
  body: document("cv-1", { "upload-url": `${known}${uploadUrl}` })
})

type Ask = (client: ServerClient["Service"]) => Effect.Effect<unknown, ServerFailure>

/** A client of a server that answers by a script. */
const scripted = Effect.gen(function*() {
  const { server, url } = yield* ScriptedServer.make
  return { server, url, client: yield* at(url) }
})

describe("the client of the server", () => {
  it.live("reads who changed what from a real server", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const client = yield* at(url)
      const trail = (about: AuditOf = AuditOf.All()) => client.audit(about, Option.none())
      expect(yield* trail()).toEqual({ entries: [] })
      const { id } = yield* client.ensureWorkspace("demo")
      const made = { entries: [{ kind: "user", action: "POST /api/v2/organizations/:organization/workspaces", object: id }] }
      expect([yield* trail(), yield* trail(AuditOf.Workspace({ name: "demo" }))]).toMatchObject([made, made])
      for (
        const [about, thing] of [
          [AuditOf.Workspace({ name: "run-none" }), "workspace run-none"],
          [AuditOf.Run({ id: "run-none" }), "run run-none"]
        ] as const
      ) {
        expect((yield* Effect.flip(trail(about))).message).toBe(
          `There is no ${thing} on ${url} for this token; \`agent-job get ${thing.split(" ")[0]}s\` lists what there is.`
        )
      }
    }))

  it.live("shows 900 open runs beside the newest hundred, however many there are", () =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      const page = (number: number) => ({ body: { runs: Array.from({ length: 100 }, () => planned), older: `run-a${number}` } })
      server.script.push(...Array.from({ length: 11 }, (_, number) => page(number)))
      const { older, runs } = yield* client.runs(Option.some("demo"), Option.none())
      expect([runs.length, older]).toEqual([1000, "run-a0"])
      expect(server.asked.map(({ url }) => decodeURIComponent(url.replace(/^.*[?]/u, "")))).toEqual([
        "page[size]=100&workspace=demo",
        ...Array.from({ length: 9 }, (_, number) => `before=run-a${number}&open=true&workspace=demo`)
      ])
    }))

  it.live("looks for who changed one thing until it has a hundred entries, or has been through the trail", () =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      const entry = (seq: number) => ({
        seq,
        at: "2026-01-31T12:00:00Z",
        kind: "user" as const,
        name: "Ada",
        action: "POST",
        object: "run-a",
        requestId: "req-1"
      })
      const answer = (count: number, older?: number) => ({
        status: 200,
        body: { entries: Array.from({ length: count }, (_, n) => entry(9000 - n)), ...(older !== undefined && { older }) }
      })
      const looked = (before: number) => client.audit(AuditOf.Run({ id: "run-a" }), Option.some(before))
      server.script.push(answer(1, 70), answer(0, 60), answer(99, 50))
      const { entries, older } = yield* looked(80)
      expect([entries.length, older]).toEqual([100, 50])
      expect(server.asked.map(({ url }) => url)).toEqual(
        [80, 70, 60].map((before) => `/api/agent-job/v1/runs/run-a/audit?before=${before}`)
      )
      server.script.push(answer(2, 40), answer(1))
      expect((yield* looked(50)).entries).toHaveLength(3)
    }))

  it.live.each<{ readonly list: string; readonly answer: object; readonly ask: Ask }>([
    { list: "runs", answer: { runs: [], older: "run-a" }, ask: (client) => client.runs(Option.none(), Option.none()) },
    { list: "entries of the audit trail", answer: { entries: [], older: 5 }, ask: (client) => client.audit(AuditOf.All(), Option.none()) },
    { list: "workspaces", answer: { data: [], meta: { pagination: { "next-page": 1 } } }, ask: (client) => client.workspaces }
  ])("does not ask without end for a list of $list whose next part is the same one", ({ answer, ask }) =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      server.otherwise = { body: answer }
      expect(yield* Effect.flip(ask(client))).toMatchObject({ _tag: "ServerUnreachable", why: { _tag: "Strange" } })
    }))

  it.live("reads what a newer server shows, whose words it does not all know", () =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      const result = { outcome: "failed", reason: "FromTomorrow", message: "It had to wait.", finishedAt: "2026-01-31T12:00:00Z" } as const
      const effects = {
        unsaved: [{ action: "adopt", address: "a.b" }],
        unsavedCount: 1,
        unknown: [],
        unknownCount: 0
      }
      const newer = run({
        status: "cost_estimated",
        engine: { name: "terragrunt" },
        stages: [stage({ stage: "refresh", status: "paused", reason: result.reason, result, effects })]
      })
      server.script.push({ body: { runs: [planned, newer] } }, { body: newer })
      expect(yield* client.runs(Option.none(), Option.none())).toEqual({ runs: [planned, newer] })
      expect(yield* client.run(newer.id)).toEqual(newer)
      const rescue = { id: "res-1", stage: "run-a1.apply.1", reason: result.reason, message: "In doubt.", openedAt: result.finishedAt }
      const state = { workspace: "demo", epoch: 1, pending: [rescue], settled: [], evidence: [], forcedUnlocks: [] }
      server.script.push({ body: state })
      expect(yield* client.state("demo")).toEqual(state)
      const entry = { seq: 1, at: result.finishedAt, kind: "webhook", name: "Ada", action: "POST", object: "", requestId: "req-1" }
      server.script.push({ body: { entries: [entry] } })
      expect(yield* client.audit(AuditOf.All(), Option.none())).toEqual({ entries: [entry] })
      const variable = { key: "a", value: "1", category: "policy", hcl: false, sensitive: false }
      server.script.push({ body: { data: [{ id: "var-1", attributes: variable }] } })
      expect(yield* client.variables("ws-1")).toEqual([{ id: "var-1", ...variable }])
    }))

  it.live("lists all workspaces of a real server, which gives a hundred at a time", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const client = yield* at(url)
      const names = Array.from({ length: 201 }, (_, n) => `w${1000 + n}`)
      for (const name of names) yield* person(url).workspace(name)
      expect((yield* client.workspaces).map(({ name }) => name)).toEqual(names)
    }))

  const seen = { by: "me@here", pending: [], use: "ev-1" }
  it.effect.each(
    [
      { what: "a view of a state, which is short,", ask: (client) => client.state("demo"), seconds: 30 },
      {
        what: "a state that is brought, which may be large,",
        ask: (client) => client.bringEvidence("demo", new Uint8Array(1)),
        seconds: 330
      },
      { what: "a decision about a state, which may be large,", ask: (client) => client.settleRescue("demo", seen), seconds: 330 }
    ] satisfies ReadonlyArray<{ what: string; ask: Ask; seconds: number }>
  )("waits for $what for $seconds s", ({ ask, seconds }) =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      server.script.push("silence")
      const asking = yield* Effect.forkChild(Effect.flip(ask(client)))
      yield* Effect.promise(() => vi.waitUntil(() => server.asked.length > 0, { timeout: 300_000 }))
      yield* TestClock.adjust(Duration.seconds(seconds - 1))
      expect(asking.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(asking)).toMatchObject({ _tag: "ServerUnreachable", detail: expect.stringContaining("no answer in") })
    }))

  /** Gives data that this process wrote to one of its own connections time to arrive. */
  const arrived = Effect.promise(async () => {
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
  })
  const asks: ReadonlyArray<{ what: string; ask: Ask; type: string }> = [
    { what: "a view of a state", ask: (client) => client.state("demo"), type: "application/json" },
    { what: "a log", ask: (client) => client.log("/api/v2/logs/plan-1/secret", 0, 1), type: "application/octet-stream" },
    { what: "evidence", ask: (client) => client.evidence("demo", "ev-1"), type: "application/json" }
  ]
  it.effect.each(asks)("gives up $what whose body falls silent for 30 s", ({ ask, type }) =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      server.script.push((response) => void response.writeHead(200, { "content-type": type }).write("{"))
      const asking = yield* Effect.forkChild(Effect.flip(ask(client)))
      yield* Effect.promise(() => vi.waitUntil(() => server.asked.length > 0, { timeout: 300_000 }))
      yield* Effect.repeat(Effect.andThen(arrived, TestClock.adjust("30 seconds")), { until: () => asking.pollUnsafe() !== undefined })
      expect(yield* Fiber.join(asking)).toMatchObject({ _tag: "ServerUnreachable", detail: "nothing more in 30s" })
    }))

  it.effect("reads a body to its end, however long that takes, while more comes", () =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      const body: { write?: (text: string) => void; end?: () => void } = {}
      server.script.push((response) => {
        response.writeHead(200, { "content-type": "application/json" }).flushHeaders()
        Object.assign(body, { write: (text: string) => response.write(text), end: () => response.end() })
      })
      const asking = yield* Effect.forkChild(client.evidence("demo", "ev-1"))
      yield* Effect.promise(() => vi.waitUntil(() => body.write !== undefined, { timeout: 300_000 }))
      for (let chunk = 0; chunk < 10; chunk++) {
        body.write?.("x")
        yield* Effect.andThen(arrived, TestClock.adjust("20 seconds"))
      }
      body.end?.()
      expect(new TextDecoder().decode(yield* Fiber.join(asking))).toBe("x".repeat(10))
    }))

  const page = { headers: { "content-type": "text/html; charset=utf-8" }, body: "<html>Sign in</html>" }
  const variable = { key: "a", value: "1", category: "env", hcl: false, sensitive: false } as const
  const undecoded: ReadonlyArray<{ what: string; ask: Ask; own: Answer }> = [
    { what: "a discard", ask: (client) => client.act("run-a1", "discard"), own: { status: 202 } },
    { what: "an approval", ask: (client) => client.approve("run-a1", undefined), own: { status: 202 } },
    { what: "a new variable", ask: (client) => client.setVariable("ws-1", variable), own: { status: 201 } },
    { what: "the end of a variable", ask: (client) => client.deleteVariable("ws-1", "var-1"), own: { status: 204 } },
    { what: "a log", ask: (client) => client.log("/api/v2/logs/plan-1/secret", 0, 1), own: log },
    { what: "evidence", ask: (client) => client.evidence("demo", "ev-1"), own: {} }
  ]
  it.live.each(undecoded)("takes no page that something else gives for $what", ({ ask, own }) =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      server.script.push(page, { status: 302, headers: { location: "https://login.example.com/" } }, { ...page, status: 203 })
      const details = []
      for (let answer = 0; answer < 3; answer++) {
        const error = yield* Effect.flip(ask(client))
        details.push(error._tag === "ServerUnreachable" && error.detail)
      }
      expect(details).toEqual([
        "it answers 200, which is not the server's own",
        "it redirects to https://login.example.com, which is not the server's own",
        "it answers 203, which is not the server's own"
      ])
      server.script.push(own)
      yield* ask(client)
    }))

  it.effect("waits for an upload as long as the server does, 15 minutes", () =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      server.script.push("silence")
      const asking = yield* Effect.forkChild(Effect.flip(client.upload(uploadUrl, new Uint8Array(1))))
      yield* Effect.promise(() => vi.waitUntil(() => server.asked.length === 1, { timeout: 300_000 }))
      yield* TestClock.adjust(Duration.minutes(15).pipe(Duration.subtract(Duration.seconds(1))))
      expect(asking.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 second")
      const failure = yield* Fiber.join(asking)
      expect(failure).toMatchObject({ _tag: "ServerUnreachable", detail: "no answer in 15m" })
      expect(mayPass(failure)).toBe(false) // or a command would wait for it for hours
    }))

  it.live("takes no page that something else gives for an upload", () =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      server.script.push(page)
      expect(yield* Effect.flip(client.upload(uploadUrl, new Uint8Array(1)))).toMatchObject({
        _tag: "ServerUnreachable",
        detail: "it answers 200, which is not the server's own"
      })
    }))

  it.live("lets go of the connection of a large page that it does not take", () =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      server.otherwise = { ...page, body: "x".repeat(4_000_000) }
      for (let asked = 0; asked < 4; asked++) yield* Effect.flip(client.log("/api/v2/logs/plan-1/secret", 0, 1))
      yield* Effect.promise(() => vi.waitUntil(() => server.connections.size <= 1, { timeout: 300_000 }))
    }))

  it.live("takes evidence only as the server sent it", () =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      server.script.push(
        { headers: { "x-content-sha256": sha256(Buffer.from("{}")) } },
        { headers: { "x-content-sha256": sha256(Buffer.from("{ }")) } }
      )
      expect(new TextDecoder().decode(yield* client.evidence("demo", "ev-1"))).toBe("{}")
      expect(yield* Effect.flip(client.evidence("demo", "ev-1"))).toMatchObject({
        _tag: "ServerUnreachable",
        detail: "what came is not what the server sent: its SHA-256 is another; try again"
      })
    }))

  it.live("finds a workspace, and makes it only when there is none", () =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      server.script.push({ body: workspace("ws-1") }, refusal(404, "no"), { status: 201, body: document("ws-2") })
      expect(yield* client.ensureWorkspace("demo")).toEqual({ id: "ws-1", created: false })
      expect(yield* client.ensureWorkspace("demo")).toEqual({ id: "ws-2", created: true })
      expect(server.asked.map(({ method, url }) => `${method} ${url}`)).toEqual([
        "GET /api/v2/organizations/default/workspaces/demo",
        "GET /api/v2/organizations/default/workspaces/demo",
        "POST /api/v2/organizations/default/workspaces"
      ])
      expect(server.asked[2]?.headers["content-type"]).toBe("application/vnd.api+json")
    }))

  it.live("takes the workspace that somebody else made in between", () =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      server.script.push(refusal(404, "no"), refusal(422, "Name has already been taken"), { body: workspace("ws-3") })
      expect(yield* client.ensureWorkspace("demo")).toEqual({ id: "ws-3", created: false })
    }))

  it.live("tells why a workspace cannot be made when nobody else made it", () =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      server.script.push(refusal(404, "no"), refusal(422, "The name is too long."), refusal(404, "no"))
      expect(yield* Effect.flip(client.ensureWorkspace("demo"))).toMatchObject({ _tag: "ServerRefused", message: "The name is too long." })
    }))

  it.live("tells that there is no workspace where its token may not make one", () =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      const detail = "The token of CI has role=plan, which does not allow this; use a token without a role."
      server.script.push(refusal(404, "no"), { status: 403, body: { errors: [{ status: "403", title: "not allowed", detail }] } })
      expect(yield* Effect.flip(client.ensureWorkspace("demo"))).toMatchObject({
        _tag: "NotAllowed",
        message: `There is no workspace demo on ${client.url} for this token, and none is made: ${detail}`
      })
    }))

  it.live("uploads and reads logs the way it reached the server, without the token", () =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      server.script.push(configurationVersion("https://inside.cluster.local"), { status: 204 }, log)
      const version = yield* client.createVersion("ws-1", { speculative: true })
      expect(version.id).toBe("cv-1")
      yield* client.upload(version.uploadUrl, new Uint8Array([1, 2, 3]))
      yield* client.log("https://inside.cluster.local/api/v2/logs/plan-1/secret", 7, 1)
      const [, upload, read] = server.asked
      expect([upload?.method, upload?.url, upload?.body, upload?.headers["content-type"], upload?.headers["content-length"]]).toEqual([
        "PUT",
        "/api/v2/uploads/cv-1/secret",
        "\u0001\u0002\u0003",
        "application/octet-stream",
        "3"
      ])
      expect(read?.url).toBe("/api/v2/logs/plan-1/secret?limit=65536&offset=7&wait=1")
      expect(server.asked.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${userToken}`, undefined, undefined])
    }))

  it.live.each([
    { known: "https://inside.cluster.local" },
    { known: "https://example.com/agent-job" },
    { known: "" }
  ])(
    "uploads and reads logs below the path of its address, as all else, from a server that knows itself as \"$known\"",
    ({ known }) =>
      Effect.gen(function*() {
        const { server, url } = yield* ScriptedServer.make
        const client = yield* at(`${url}/agent-job`)
        server.script.push(configurationVersion(known), { status: 204 }, log)
        yield* client.upload((yield* client.createVersion("ws-1", { speculative: true })).uploadUrl, new Uint8Array(1))
        yield* client.log(`${known}/api/v2/logs/plan-1/secret`, 0, 0)
        expect(server.asked.map((_) => _.url)).toEqual([
          "/agent-job/api/v2/workspaces/ws-1/configuration-versions",
          "/agent-job/api/v2/uploads/cv-1/secret",
          "/agent-job/api/v2/logs/plan-1/secret?limit=65536&offset=0&wait=0"
        ])
      })
  )

  it.live.each([
    { named: "another host, as if its own were a user there", secretUrl: (other: string) => `@${other}/` },
    { named: "more of its own host", secretUrl: () => ".example.com/" },
    { named: "what has no path", secretUrl: () => "mailto:@example.com/" },
    { named: "another host", secretUrl: (other: string) => `//${other}${uploadUrl}` },
    { named: "no address", secretUrl: () => "http://[" },
    { named: "a place above its API", secretUrl: () => "/api/v2/../../elsewhere" }
  ])("uploads to its own server alone, if that names $named", ({ secretUrl }) =>
    Effect.gen(function*() {
      const { client, server } = yield* scripted
      const other = yield* ScriptedServer.make
      server.otherwise = { status: 204 }
      yield* client.upload(secretUrl(new URL(other.url).host), new Uint8Array(1))
      expect([server.asked.map((_) => _.url.startsWith("/api/v2/")), other.server.asked]).toEqual([[true], []])
    }))

  it.live("asks through the proxy of the environment", () =>
    Effect.gen(function*() {
      const proxy = yield* forwardProxy
      const { url } = yield* scripted
      const elsewhere = url.replace("127.0.0.1", "server.example.test")
      const client = yield* Effect.provide(at(elsewhere), environment({ HTTP_PROXY: proxy.url }))
      yield* Effect.flip(client.run("run-a1"))
      expect(proxy.asked).toEqual([`GET ${elsewhere}/api/agent-job/v1/runs/run-a1`])
    }))

  it.live("shows the client certificate that the environment names, as a proxy before the server may want one", () =>
    Effect.gen(function*() {
      const place = yield* temporaryFolder("certificates")
      const ca = authority(place)
      const roots = getCACertificates()
      yield* Effect.acquireRelease(
        Effect.sync(() => setDefaultCACertificates([...roots, ca.cert])),
        () => Effect.sync(() => setDefaultCACertificates(roots))
      )
      const shown: Array<string> = []
      const server = createServer({ ...ca.sign("server", "DNS:localhost"), ca: ca.cert, requestCert: true }, ({ socket }, answer) => {
        shown.push(String((socket as TLSSocket).getPeerCertificate().subject.CN))
        answer.writeHead(204).end()
      })
      const client = yield* Effect.provide(
        at(`https://localhost:${yield* listening(server)}`),
        environment({ AGENT_JOB_CLIENT_CERTIFICATE_DIR: ca.sign("ada").directory })
      )
      yield* client.upload(uploadUrl, new Uint8Array(1))
      expect(shown).toEqual(["ada"])
    }))

  it.effect.each([
    { given: "is not there", files: {}, why: "it is not there" },
    { given: "is none", files: { "tls.crt": "x", "tls.key": "x" }, why: expect.stringMatching(/PEM|no start line/iu) }
  ])("says at once that the client certificate of the environment $given", ({ files, why }) =>
    Effect.gen(function*() {
      const directory = yield* temporaryFolder("certificates")
      for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content)
      const error = yield* Effect.flip(
        Effect.provide(at("https://server.example.test"), environment({ AGENT_JOB_CLIENT_CERTIFICATE_DIR: directory }))
      )
      const [, said] = /cannot be used \((.+)\); put tls\.crt and tls\.key there, or unset/u.exec(error.message) ?? []
      expect([said, exitCodeOf(error)]).toEqual([why, 2])
    }))

  it.live("says that it is a proxy that does not answer, and nothing of its password", () =>
    Effect.gen(function*() {
      const url = "http://server.example.test"
      const client = yield* Effect.provide(at(url), environment({ HTTP_PROXY: "http://me:s3cret@127.0.0.1:1" }))
      expect((yield* Effect.flip(client.run("run-a1"))).message).toBe(
        `No usable answer from the agent-job server at ${url} (asked through the proxy of HTTP_PROXY, 127.0.0.1:1: connection refused); check that proxy, or put the host into NO_PROXY.`
      )
    }))

  it.effect("says which variable has a proxy that is no URL", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.provide(at("http://server.example.test"), environment({ HTTPS_PROXY: "10.0.0.1:3128" })))
      expect([exitCodeOf(error), error.message]).toEqual([
        2,
        expect.stringMatching(
          /^The proxy in HTTPS_PROXY \(or https_proxy\) cannot be used, since it is no URL such as .*; correct or unset that variable,/u
        )
      ])
    }))

  it.live("repeats the server's words when a decision comes at the wrong moment", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const client = yield* at(url)
      const id = yield* person(url).start("demo")
      yield* planWith(url)
      yield* client.act(id, "discard")
      yield* client.act(id, "discard")
      expect((yield* Effect.flip(client.approve(id, undefined))).message).toBe(
        `The run ${id} is discarded and cannot be applied; start another with: agent-job run DIR`
      )
    }))

  it.live("wants declared what it sets for a run, and not what all runs of the workspace have", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const client = yield* at(url)
      const { id } = yield* client.ensureWorkspace("demo")
      yield* client.setVariable(id, { key: "region", value: "eu", category: "terraform", hcl: false, sensitive: false })
      const { id: configurationVersionId } = yield* person(url).upload(id, archiveOf({ "main.tf": "" }))
      yield* client.createRun({
        workspaceId: id,
        configurationVersionId,
        destroy: false,
        autoApply: false,
        allowEmptyApply: false,
        planOnly: true,
        engine: Option.none(),
        variables: [{ key: "who", value: "\"me\"" }]
      })
      const { json } = yield* worker(url, yield* agent(url).take).as("GET", taskPath.assignment)
      expect(json.variables).toMatchObject([{ name: "region" }, { name: "who", declared: true }])
      expect(json.variables[0]).not.toHaveProperty("declared")
    }))

  it.live("has no outputs and no state before there was an apply", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const client = yield* at(url)
      const { id } = yield* client.ensureWorkspace("demo")
      expect([yield* client.outputs(id), (yield* client.state("demo")).version]).toEqual([[], undefined])
    }))

  it.live("lists the runs of one workspace, newest first", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const client = yield* at(url)
      const first = yield* person(url).start("one")
      const second = yield* person(url).start("two")
      const listed = (workspace: Option.Option<string>, before: Option.Option<string> = Option.none()) =>
        Effect.map(client.runs(workspace, before), ({ runs }) => runs.map(({ id }) => id))
      expect(yield* listed(Option.none())).toEqual([second, first])
      expect(yield* listed(Option.some("one"))).toEqual([first])
      expect(yield* listed(Option.none(), Option.some(second))).toEqual([first])
      expect(Option.map(yield* client.newestRun(Option.none()), ({ id }) => id)).toEqual(Option.some(second))
      expect(yield* agent(url).acquire()).toHaveLength(2)
    }))
})
