// Clients that send slowly, too much, or no HTTP: the server answers or disconnects them, and no other client waits for them.
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Scope } from "effect"
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { Connections } from "../../../src/server/lifecycle/listen.ts"
import { Waiters } from "../../../src/server/store/commits.ts"
import { until } from "../../until.ts"
import { agent, ask, directory, optionsIn, person, poolToken, server, serveWith, userToken, worker } from "../live-server.ts"

const opened = (url: string, localAddress: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const socket = connect({ host: "127.0.0.1", port: Number(new URL(url).port), localAddress })
      socket.on("error", () => {})
      socket.resume()
      await Promise.race([once(socket, "connect"), once(socket, "close")])
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Returns what the server sends until it closes the connection. */
const said = (url: string, sent: string) =>
  Effect.scoped(Effect.flatMap(opened(url, "127.0.0.1"), (socket) =>
    Effect.promise(async () => {
      let text = ""
      socket.on("data", (chunk) => (text += String(chunk)))
      socket.write(sent)
      if (!socket.closed) await once(socket, "close")
      return text
    })))

const guards = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store"
}

describe("every answer", () => {
  it.live("forbids a browser to load, frame, sniff, keep or tell anything, and has the request's id", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).workspace("demo")
      for (
        const path of [
          "/healthz",
          "/metrics",
          "/nowhere",
          "/%zz",
          "/api/v2/ping",
          "/api/v2/nowhere",
          "/api/v2/organizations/default/workspaces/demo",
          "/api/agent-job/v1/runs",
          "/.well-known/terraform.json"
        ]
      ) {
        for (const token of [undefined, userToken]) {
          const { headers } = yield* ask(url + path, token)
          expect([path, Object.fromEntries(headers)]).toEqual([path, expect.objectContaining(guards)])
          expect(headers.get("x-request-id")).toMatch(/^req-[a-z0-9]{16}$/u)
        }
      }
    }))

  it.live.each([
    { given: "no HTTP", sent: "hello\r\n\r\n", status: 400 },
    { given: "a broken header", sent: "GET / HTTP/1.1\r\nhost: a\r\nbroken\r\n\r\n", status: 400 },
    { given: "two lengths", sent: "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", status: 400 },
    {
      given: "a length and chunks",
      sent: "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      status: 400
    },
    { given: "too long headers", sent: `GET / HTTP/1.1\r\nhost: a\r\nx: ${"x".repeat(16_500)}\r\n\r\n`, status: 431 }
  ])("to $given is $status in the usual form", ({ sent, status }) =>
    Effect.gen(function*() {
      const text = yield* said(yield* server, sent)
      expect(text.split("\r\n")[0]).toMatch(new RegExp(`^HTTP/1.1 ${status} `, "u"))
      for (const [name, value] of Object.entries(guards)) expect(text).toContain(`${name}: ${value}\r\n`)
      expect(JSON.parse(text.slice(text.indexOf("\r\n\r\n")))).toEqual({ error: expect.any(String), message: expect.any(String) })
    }))

  it.live.each(["http://[/api/agent-job/v1/runs?workspace=demo", "http://x:99999/api/agent-job/v1/runs"])(
    "to an address that is none, %s, is 404",
    (address) =>
      Effect.gen(function*() {
        const url = yield* server
        const text = yield* said(
          url,
          `GET ${address} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${userToken}\r\nconnection: close\r\n\r\n`
        )
        expect(text.split("\r\n")[0]).toBe("HTTP/1.1 404 Not Found")
        expect(text).toContain("{\"error\":\"not-found\"")
      })
  )

  it.live.each(["/healthz", "/api/v2/organizations/default/workspaces/demo", "/api/agent-job/v1/runs", "/nowhere"])(
    "to HEAD of %s is that to GET, without its body",
    (path) =>
      Effect.gen(function*() {
        const url = yield* server
        const asked = (method: string) =>
          said(url, `${method} ${path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${userToken}\r\nconnection: close\r\n\r\n`)
        const [got = "", ...body] = (yield* asked("GET")).split("\r\n\r\n")
        const headers = (text: string) => text.replace(/^(date|x-request-id): .*$/gimu, "$1")
        expect((yield* asked("HEAD")).split("\r\n\r\n").map(headers)).toEqual([headers(got), ""])
        expect(body.join("")).not.toBe("")
      })
  )

  it.live.each([
    { letters: 8191, status: 404 },
    { letters: 8192, status: 404 },
    { letters: 8193, status: 414 }
  ])("to an address of $letters letters is $status", ({ letters, status }) =>
    Effect.gen(function*() {
      const url = yield* server
      const answer = yield* ask(`${url}/${"a".repeat(letters - 1)}`, undefined)
      expect([answer.status, Object.keys(answer.json)]).toEqual([status, ["error", "message"]])
    }))
})

describe("a server that is given an address", () =>
  it.live("listens there alone", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { url } = yield* serveWith({ ...optionsIn(made), address: "127.0.0.1" })
      expect((yield* ask(`${url}/healthz`, undefined)).status).toBe(200)
      const elsewhere = connect({ host: "127.0.0.2", port: Number(new URL(url).port) })
      expect(yield* Effect.promise(() => once(elsewhere, "connect").then(() => "it is connected", ({ code }) => code))).toBe("ECONNREFUSED")
    })))

describe("connections", () =>
  it.live("of one address beyond its share are closed, and others still get theirs; those that are over count no more", () =>
    Effect.gen(function*() {
      const url = yield* server.pipe(Effect.provideService(Connections, { atOnce: 5, ofOneAddress: 3 }))
      const past = yield* Effect.replicateEffect(said(url, "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"), 5)
      expect(past.map((text) => text.slice(0, 12))).toEqual(past.map(() => "HTTP/1.1 200"))
      const first = yield* Effect.forEach([1, 2, 3], () => opened(url, "127.0.0.2"))
      const more = yield* opened(url, "127.0.0.2")
      yield* Effect.promise(async () => {
        while (!more.closed) await new Promise((done) => setTimeout(done, 10))
      })
      expect(first.map(({ closed }) => closed)).toEqual([false, false, false])
      expect((yield* ask(`${url}/healthz`, undefined)).status).toBe(200)
    })))

describe("a connection on which a request asks for an upgrade", () =>
  it.live("is closed after the answer, which is that to any other", () =>
    Effect.gen(function*() {
      const text = yield* said(yield* server, "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n")
      expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/u)
    })))

describe("a connection on which more is asked before the answer is there", () => {
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`
  const logOf = (url: string) =>
    Effect.map(Effect.flatMap(person(url).start("demo"), person(url).view), ({ stages }) => new URL(stages[0]!.logUrl).pathname)

  it.live("gets one answer after the other, in order", () =>
    Effect.gen(function*() {
      const url = yield* server
      const text = yield* said(
        url,
        `${get("/healthz")}${get("/nowhere")}${get("/healthz").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")}`
      )
      expect(text.match(/HTTP\/1\.1 \d+/gu)).toEqual(["HTTP/1.1 200", "HTTP/1.1 404", "HTTP/1.1 200"])
    }))

  it.live("begins with none of it before its client has that answer", () =>
    Effect.gen(function*() {
      const url = yield* server
      const log = yield* logOf(url)
      const assignment = yield* agent(url).take
      const later = ask(`${url}/api/v2/organizations/default/workspaces/later`, userToken)
      const body = JSON.stringify({ data: { attributes: { name: "later" } } })
      const make =
        `POST /api/v2/organizations/default/workspaces HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${userToken}\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      const socket = yield* opened(url, "127.0.0.1")
      socket.write(get(`${log}?offset=1&wait=60`) + make)
      for (let look = 0; look < 20; look++) expect((yield* later).status).toBe(404)
      yield* worker(url, assignment).log(0, "what it waits for")
      yield* Effect.repeat(later, { until: ({ status }) => status === 200 }).pipe(Effect.timeout("5 minutes"))
    }))

  it.live("is closed when that goes on, and none of it waits any more", () =>
    Effect.gen(function*() {
      const url = yield* server.pipe(Effect.provideService(Waiters, { agents: 2, logs: 2 }))
      const log = yield* logOf(url)
      expect(yield* said(url, get(`${log}?offset=1&wait=30`).repeat(200))).toBe("")
      const follow = Effect.timed(ask(`${url}${log}?offset=1&wait=1`, undefined))
      const both = yield* Effect.forEach([1, 2], () => follow, { concurrency: "unbounded" })
      expect(both.map(([held, { status }]) => [status, Duration.toMillis(held) >= 500])).toEqual([[200, true], [200, true]])
    }))
})

describe("a server that stops", () => {
  /** A server, and a connection on which this was sent; `text` is what came back. */
  const sending = (sent: string) =>
    Effect.gen(function*() {
      const scope = yield* Effect.acquireRelease(Scope.make(), (made) => Scope.close(made, Exit.void))
      const { url } = yield* Scope.provide(Effect.flatMap(directory, (made) => serveWith(optionsIn(made))), scope)
      const socket = yield* opened(url, "127.0.0.1")
      let text = ""
      socket.on("data", (chunk) => (text += String(chunk)))
      socket.write(sent)
      return { socket, text: () => text, stop: Scope.close(scope, Exit.void), url }
    })

  it.live("closes the connection of a request that it still answers, so that no other comes on it", () =>
    Effect.gen(function*() {
      const body = JSON.stringify({ agent: "a", max: 1, waitSeconds: 60 })
      const { socket, stop, text, url } = yield* sending(
        `POST ${poolPath.acquire} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${poolToken}\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      )
      const metrics = Effect.map(ask(`${url}/metrics`, undefined), ({ text }) => text)
      yield* Effect.repeat(metrics, { until: (shown) => shown.includes("agent_job_server_agents 1") })
      yield* stop
      yield* until(() => socket.closed)
      expect(text()).toMatch(/^HTTP\/1\.1 200 OK\r\n(.+\r\n)*connection: close\r\n/iu)
    }))

  it.live("leaves no connection open on which nothing would be answered", () =>
    Effect.gen(function*() {
      const { socket, stop } = yield* sending("GET /healthz HTTP/1.1\r\nhost: a\r\nx-slow: ")
      yield* stop
      yield* until(() => socket.closed)
    }))
})

describe("clients that send slowly", () =>
  it.live("delay nobody else: slow headers are ended after ten seconds, slow bodies go on", () =>
    Effect.gen(function*() {
      const url = yield* server
      const header = "GET /healthz HTTP/1.1\r\nhost: a\r\n"
      const body = `POST /api/v2/runs HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${userToken}\r\ncontent-length: 1000\r\n\r\n{`
      // A slow machine takes longer to open 700 than the ten seconds that a first header has, so only the last ten have asked for nothing yet.
      const begun = Effect.fnUntraced(function*(at: number) {
        const socket = yield* opened(url, "127.0.0.2")
        if (at % 2 === 1) socket.write(body)
        else if (at < 680) {
          socket.write(`${header}\r\n`)
          yield* Effect.promise(() => once(socket, "data"))
        }
        return socket
      })
      const slow = yield* Effect.forEach(Array.from({ length: 700 }).keys(), begun, { concurrency: 50 })
      const dripping: Array<Socket> = slow.filter((socket) => !socket.closed)
      expect(dripping.length).toBe(700) // as many as the workers of a cluster behind one gateway may be
      for (const [at, socket] of dripping.entries()) if (at % 2 === 0) socket.write(`${header}x-slow: `)
      const drip = setInterval(() => dripping.forEach((socket) => socket.writable && socket.write("x")), 2000)
      yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(drip)))
      let answered = 0
      while (answered < 40 && dripping.every((socket) => !socket.closed)) {
        expect((yield* ask(`${url}/healthz`, undefined)).status).toBe(200)
        expect((yield* ask(`${url}/api/v2/ping`, userToken)).status).toBe(204)
        answered++
      }
      expect(answered).toBeGreaterThan(1) // while all 700 were still sending
      yield* Effect.promise(async () => {
        while (dripping.filter((socket, at) => at % 2 === 0 && !socket.closed).length > 0) {
          await new Promise((done) => setTimeout(done, 100))
        }
      })
      expect(dripping.filter(({ closed }) => !closed).length).toBe(350)
    })))
