// Our own requests behind a proxy, with trusted roots of their own, and to a server that asks for a client certificate, on this machine.
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber } from "effect"
import { HttpClient } from "effect/http"
import { spawn } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer as createPlain, type ServerResponse } from "node:http"
import { createServer as createSecure } from "node:https"
import { createRequire } from "node:module"
import type { LookupFunction, Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from "node:tls"
import { EnvHttpProxyAgent } from "undici"
import { afterAll, vi } from "vitest"
import { toAnybody, toServer } from "../../src/http/connections.ts"
import { failureInWords, notTrusted } from "../../src/http/failure-words.ts"
import { configOf } from "../core/configs.ts"
import { until } from "../until.ts"
import { authority, type Signed } from "./certificates.ts"
import { forwardProxy, listening, secureForwardProxy } from "./forward-proxy.ts"

const place = mkdtempSync(join(tmpdir(), "agent-job-connections-"))
const ca = authority(place)
const roots = getCACertificates()
setDefaultCACertificates([...roots, ca.cert])
afterAll(() => {
  setDefaultCACertificates(roots)
  rmSync(place, { recursive: true })
})

/** The clock of undici's time limits, which `tick` puts forward by so many milliseconds. */
const undiciTimers: { readonly tick: (millis: number) => void } = createRequire(import.meta.url)("undici/lib/util/timers")

const host = "server.example.test"
const identity = ca.sign(host, `DNS:${host},DNS:localhost,DNS:server,DNS:server.agent-job.svc,DNS:server.agent-job.svc.cluster.local`)
const [first, second] = [ca.sign("first"), ca.sign("second")]

const plain = Effect.suspend(() => listening(createPlain((_, answer) => void answer.end("plain"))))

/** Answers with the subject of the client's certificate if it asks for one, and with "secure" otherwise. */
const secure = (requestCert = false, as: Signed = identity) =>
  Effect.suspend(() =>
    listening(
      createSecure(
        { ...as, ca: ca.cert, requestCert, rejectUnauthorized: requestCert },
        ({ socket }, answer) => void answer.end(requestCert ? String((socket as TLSSocket).getPeerCertificate().subject.CN) : "secure")
      )
    )
  )

/** Resolves each name to this machine. */
const here: LookupFunction = (_, { all }, answer) =>
  all === true ? answer(null, [{ address: "127.0.0.1", family: 4 }]) : answer(null, "127.0.0.1", 4)

const ask = (url: string, env: Record<string, string>, connections: typeof toServer | typeof toAnybody = toServer) =>
  Effect.flatMap(HttpClient.HttpClient, (http) => Effect.flatMap(http.get(url), ({ text }) => text)).pipe(
    Effect.provide(connections({ connections: 2, lookup: here })),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
  )

describe("a proxy of the environment", () => {
  it.live("is asked for a tunnel to https addresses, and for http ones themselves", () =>
    Effect.gen(function*() {
      const proxy = yield* forwardProxy
      const [http, https] = [yield* plain, yield* secure()]
      const env = { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url }
      expect([yield* ask(`http://${host}:${http}/a`, env), yield* ask(`https://${host}:${https}/b`, env)]).toEqual(["plain", "secure"])
      expect(proxy.asked).toEqual([`GET http://${host}:${http}/a`, `CONNECT ${host}:${https}`])
    }).pipe(Effect.scoped))

  it.live.each([
    { given: "loopback, always", name: "localhost", env: {} },
    { given: "the whole name of a Service, whoever forgot NO_PROXY", name: "server.agent-job.svc", env: {} },
    { given: "its name with the cluster's domain", name: "server.agent-job.svc.cluster.local", env: { NO_PROXY: "a" } },
    { given: "a name in NO_PROXY", name: host, env: { NO_PROXY: host } },
    { given: "a name in no_proxy, which goes before NO_PROXY", name: host, env: { no_proxy: `a,${host}`, NO_PROXY: "b" } }
  ])("is not asked for $given", ({ env, name }) =>
    Effect.gen(function*() {
      const proxy = yield* forwardProxy
      expect(yield* ask(`https://${name}:${yield* secure()}`, { https_proxy: proxy.url, ...env })).toBe("secure")
      expect(proxy.asked).toEqual([])
    }).pipe(Effect.scoped))

  it.live("that cannot be reached is what the error says", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(ask(`https://${host}:1`, { HTTPS_PROXY: "http://127.0.0.1:1" }))
      expect(failureInWords(error)).toBe("connection refused")
    }).pipe(Effect.scoped))

  it.live("that does not answer does not keep its connections once it answers again", () =>
    Effect.gen(function*() {
      const proxy = yield* forwardProxy
      const url = `https://${host}:${yield* secure()}`
      proxy.silent = true
      yield* Effect.gen(function*() {
        const http = yield* HttpClient.HttpClient
        const unanswered = yield* Effect.forEach([1, 2], () => Effect.forkChild(http.get(url)))
        yield* until(() => proxy.asked.length === 2)
        yield* Fiber.interruptAll(unanswered)
        proxy.silent = false
        const answer = yield* Effect.forkChild(Effect.flatMap(http.get(url), ({ text }) => text))
        undiciTimers.tick(0) // which starts the time of limits that are new
        undiciTimers.tick(30_000)
        expect(yield* Fiber.join(answer)).toBe("secure")
      }).pipe(
        Effect.provide(toServer({ connections: 2 })),
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ HTTPS_PROXY: proxy.url })))
      )
    }).pipe(Effect.scoped))

  it.live.each([toServer, toAnybody])(
    "that is none is an error which says where, and not what, it is",
    (connections) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(
          ask(`https://${host}`, { HTTP_PROXY: "http://127.0.0.1:1", HTTPS_PROXY: "user:s3cret@127.0.0.1:1" }, connections)
        )
        expect([error._tag, error.message]).toEqual(["ProxyUnusable", expect.stringMatching(/^The proxy in HTTPS_PROXY (?!.*s3cret)/u)])
      })
  )
})

describe("the connections to one server", () =>
  it.live("are as many as they may be, on which other requests wait for their turn", () =>
    Effect.gen(function*() {
      let [asked, connected] = [0, 0]
      const waiting: Array<ServerResponse> = []
      const server = createPlain((_, answer) => {
        waiting.push(answer)
        if (++asked >= 2) { for (const one of waiting.splice(0)) one.end() }
      }).on("connection", () => void connected++)
      const url = `http://localhost:${yield* listening(server)}`
      yield* Effect.flatMap(HttpClient.HttpClient, (http) =>
        Effect.replicateEffect(Effect.flatMap(http.get(url), ({ text }) => text), 6, { concurrency: "unbounded" })).pipe(
          Effect.provide(toServer({ connections: 2 })),
          Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({})))
        )
      expect(connected).toBe(2)
    }).pipe(Effect.scoped)))

describe("a client certificate", () => {
  it.live("is shown to the server, directly and through a tunnel, and to nobody else", () =>
    Effect.gen(function*() {
      const proxies = [yield* forwardProxy, yield* secureForwardProxy(ca.sign("proxy"))]
      const port = yield* secure(true)
      const mounted = { AGENT_JOB_CLIENT_CERTIFICATE_DIR: first.directory }
      expect(yield* ask(`https://localhost:${port}`, mounted)).toBe("first")
      for (const { shown, url } of proxies) {
        expect(yield* ask(`https://${host}:${port}`, { ...mounted, HTTPS_PROXY: url, NODE_EXTRA_CA_CERTS: ca.file })).toBe("first")
        expect(shown).toEqual([])
      }
      yield* Effect.flip(ask(`https://localhost:${port}`, {}))
      yield* Effect.flip(ask(`https://localhost:${port}`, mounted, toAnybody))
    }).pipe(Effect.scoped))

  const mounted = join(place, "mounted")
  const show = (one: { readonly directory: string }) => cpSync(one.directory, mounted, { recursive: true })
  it.live("that is replaced is used from the next request on", () =>
    Effect.gen(function*() {
      const port = yield* secure(true)
      show(first)
      const answers = yield* Effect.gen(function*() {
        const http = yield* HttpClient.HttpClient
        const answer = Effect.flatMap(http.get(`https://localhost:${port}`), ({ text }) => text)
        const before = [yield* answer, yield* answer]
        show(second)
        return [...before, yield* answer]
      }).pipe(
        Effect.provide(toServer({ connections: 2 })),
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ AGENT_JOB_CLIENT_CERTIFICATE_DIR: mounted })))
      )
      expect(answers).toEqual(["first", "first", "second"])
    }).pipe(Effect.scoped))

  it.live("that is replaced, however often, leaves no connection and nothing to end when the client does", () =>
    Effect.gen(function*() {
      const sockets = new Set<Socket>()
      const server = createSecure(identity, (_, answer) => void answer.end("secure")).on("connection", (socket: Socket) => {
        sockets.add(socket)
        socket.on("close", () => sockets.delete(socket))
      })
      const url = `https://localhost:${yield* listening(server)}`
      const ended = yield* Effect.acquireRelease(
        Effect.sync(() => vi.spyOn(EnvHttpProxyAgent.prototype, "destroy")),
        (spy) => Effect.sync(() => spy.mockRestore())
      )
      yield* Effect.gen(function*() {
        const http = yield* HttpClient.HttpClient
        for (const one of [first, second, first, second]) {
          show(one)
          expect(yield* Effect.flatMap(http.get(url), ({ text }) => text)).toBe("secure")
        }
        yield* Effect.promise(() =>
          expect.poll(() => [sockets.size, new Set(ended.mock.contexts).size], { timeout: 300_000 }).toEqual([1, 3])
        )
        ended.mockClear()
      }).pipe(
        Effect.provide(toServer({ connections: 2 })),
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ AGENT_JOB_CLIENT_CERTIFICATE_DIR: mounted })))
      )
      expect(new Set(ended.mock.contexts).size).toBe(2) // those of the certificate in use, and of none
      yield* Effect.promise(() => expect.poll(() => sockets.size, { timeout: 300_000 }).toBe(0))
    }).pipe(Effect.scoped))
})

const authorityOf = (name: string) => {
  mkdirSync(join(place, name))
  const { cert, sign } = authority(join(place, name))
  return { cert, identity: sign(`of-${name}`, `DNS:${host},DNS:localhost,IP:127.0.0.1`) }
}
const [old, next] = [authorityOf("old"), authorityOf("next")]

describe("the roots of NODE_EXTRA_CA_CERTS", () => {
  const refused = { old: "refused", next: "refused", known: "refused" }
  const trustingOld = { old: "trusted", next: "refused", known: "trusted" }
  const trustingNext = { old: "refused", next: "trusted", known: "trusted" }
  it.live.each([
    { way: "directly", name: "localhost", env: Effect.succeed({}), before: trustingOld },
    {
      way: "with a client certificate",
      name: "localhost",
      env: Effect.succeed({ AGENT_JOB_CLIENT_CERTIFICATE_DIR: first.directory }),
      before: trustingOld
    },
    { way: "through a tunnel", name: host, env: Effect.map(forwardProxy, ({ url }) => ({ HTTPS_PROXY: url })), before: trustingOld },
    {
      way: "through a tunnel of a proxy that needs the next root",
      name: host,
      env: Effect.map(secureForwardProxy(next.identity), ({ url }) => ({ HTTPS_PROXY: url })),
      before: refused
    }
  ])("are those of its last usable file at each request, $way, beside those of Node", ({ before, env, name }) =>
    Effect.gen(function*() {
      const bundle = join(place, "bundle.crt")
      const variables = { ...yield* env, NODE_EXTRA_CA_CERTS: bundle }
      const ports = { old: yield* secure(false, old.identity), next: yield* secure(false, next.identity), known: yield* secure() }
      yield* Effect.gen(function*() {
        const http = yield* HttpClient.HttpClient
        const answer = (port: number) =>
          Effect.match(http.get(`https://${name}:${port}`), { onFailure: () => "refused", onSuccess: () => "trusted" })
        const answers = Effect.all({ old: answer(ports.old), next: answer(ports.next), known: answer(ports.known) })
        writeFileSync(bundle, old.cert)
        expect(yield* answers).toEqual(before)
        writeFileSync(bundle, next.cert)
        expect(yield* answers).toEqual(trustingNext)
        for (const unusable of ["", "no certificate", old.cert.slice(0, old.cert.length / 2)]) { // empty, junk, cut off
          writeFileSync(bundle, unusable)
          expect(yield* answers, JSON.stringify(unusable)).toEqual(trustingNext)
        }
        rmSync(bundle)
        expect(yield* answers).toEqual(trustingNext)
      }).pipe(Effect.provide(toServer({ connections: 2 })), Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(variables))))
    }).pipe(Effect.scoped))
})

/** Runs the program that a container runs, with the variables that the values give it, and returns its output. */
const inContainer = (url: string, env: Readonly<Record<string, string>>, ...roots: ReadonlyArray<string>) =>
  Effect.callback<string>((resume) => {
    const child = spawn(process.execPath, [new URL("./ask.ts", import.meta.url).pathname, url, ...roots], {
      env: { PATH: process.env.PATH ?? "", ...env },
      stdio: ["ignore", "pipe", "inherit"]
    })
    let out = ""
    child.stdout.on("data", (chunk: Buffer) => void (out += chunk.toString()))
    child.on("close", () => resume(Effect.succeed(out.trim())))
  })

describe("the variables that the values give", () => {
  it.live("bring a worker to a server behind a proxy whose authority only the values know", () =>
    Effect.gen(function*() {
      const proxy = yield* forwardProxy
      const port = yield* secure(true)
      const values = { proxy: { httpsProxy: proxy.url }, tls: { caBundle: ca.cert, clientCertSecret: { name: "client" } } }
      const { env } = configOf({ global: values }).task.worker
      // The paths at which the Pod has the files.
      const mounted = { ...env, NODE_EXTRA_CA_CERTS: ca.file, AGENT_JOB_CLIENT_CERTIFICATE_DIR: first.directory }
      expect(yield* inContainer(`https://${host}:${port}/`, mounted)).toBe("first")
      // A name in the cluster is not reached through the proxy.
      expect(yield* inContainer(`https://server.agent-job.svc:${port}/`, mounted)).toMatch(
        /there is no host of that name|the name of the host cannot be looked up now/u
      )
      expect(yield* inContainer(`https://${host}:${port}/`, { ...mounted, NODE_EXTRA_CA_CERTS: "" })).toBe(notTrusted)
      expect(proxy.asked).toEqual(Array(2).fill(`CONNECT ${host}:${port}`))
    }).pipe(Effect.scoped))

  it.live("bring no trust in an authority that Node knew when it started and their file has no longer", () =>
    Effect.gen(function*() {
      const url = `https://localhost:${yield* secure()}/`
      const bundle = join(place, "replaced.crt")
      writeFileSync(bundle, ca.cert)
      expect(yield* inContainer(url, { NODE_EXTRA_CA_CERTS: bundle }, next.cert)).toBe(notTrusted)
    }).pipe(Effect.scoped))
})
