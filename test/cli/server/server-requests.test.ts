// How a request to the server ends when it does not end well: which of the five errors, in which words, and what it may have done.
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Option, Redacted, Schema } from "effect"
import { HttpClient, HttpClientError, HttpClientRequest as Request } from "effect/http"
import { TestClock } from "effect/testing"
import type { ServerResponse } from "node:http"
import { createServer as createSecure } from "node:https"
import { makeRequests } from "../../../src/cli/server/server-requests.ts"
import { exitCodeOf, isAwayForNow, mayComeThrough } from "../../../src/cli/terminal/failure.ts"
import { toAnybody } from "../../../src/http/connections.ts"
import { authority } from "../../http/certificates.ts"
import { endlessly } from "../../http/endless.ts"
import { listening } from "../../http/forward-proxy.ts"
import { type Answer, ScriptedServer } from "../../kubernetes/scripted-server.ts"
import { directory, userToken } from "../../server/live-server.ts"
import { until } from "../../until.ts"

const path = "/api/agent-job/v1/runs/run-a1"
const connection = (url: string) => ({ url, token: Option.some(Redacted.make(userToken)) })
const failureWith = (url: string, http: HttpClient.HttpClient) =>
  Effect.flip(makeRequests(connection(url), http).decoded(Schema.Struct({ id: Schema.String }), Request.get(path), "run run-a1"))
const failureAt = (url: string) =>
  HttpClient.HttpClient.pipe(
    Effect.flatMap((http) => failureWith(url, http)),
    Effect.provide(toAnybody({ connections: 1 }))
  )
const failureOn = (answer: Answer) =>
  Effect.gen(function*() {
    const { server, url } = yield* ScriptedServer.make
    server.script.push(answer)
    return yield* failureAt(url)
  })
const refusal = (status: number, detail: string, title = "no") => ({
  status,
  body: { errors: [{ status: String(status), title, detail }] }
})
const notAllowed = (status: number) => refusal(status, "The token of CI has role=plan, which does not allow this.", "not allowed")

it.live.each([
  { answer: refusal(401, "no"), tag: "TokenRefused", code: 5 },
  { answer: { status: 401, body: { error: "unauthorized", message: "no" } }, tag: "TokenRefused", code: 5 },
  { answer: { status: 401 }, tag: "ServerUnreachable", code: 4, says: "(it answers 401, which is not the server's own)" },
  {
    answer: { status: 403, body: { message: "Forbidden" } },
    tag: "ServerUnreachable",
    code: 4,
    says: "(it answers 403, which is not the server's own)"
  },
  { answer: refusal(403, "not this"), tag: "ServerRefused", code: 1, says: "not this" },
  { answer: notAllowed(403), tag: "NotAllowed", code: 5, says: "The token of CI has role=plan, which does not allow this." },
  { answer: notAllowed(404), tag: "NotAllowed", code: 5, says: "The token of CI has role=plan, which does not allow this." },
  {
    answer: { status: 403, body: { error: "not-allowed", message: "The token of CI has role=plan." } },
    tag: "NotAllowed",
    code: 5,
    says: "The token of CI has role=plan."
  },
  { answer: refusal(404, "no"), tag: "NothingThere", code: 3, says: "; `agent-job get runs` lists what there is." },
  { answer: { status: 404 }, tag: "ServerUnreachable", code: 4 },
  { answer: refusal(409, "The run is over."), tag: "ServerRefused", code: 1, says: "The run is over." },
  { answer: refusal(409, "Locked by Eve\r\n  (nobody)."), tag: "ServerRefused", code: 1, says: "Locked by Eve (nobody)." },
  { answer: refusal(413, "The body has too many bytes."), tag: "ServerRefused", code: 1, says: "The body has too many bytes." },
  {
    answer: { status: 413 },
    tag: "ServerRefused",
    code: 1,
    says: "takes no body of this size (413); raise its limit to 256 MiB (nginx: client_max_body_size)."
  },
  { answer: refusal(429, "too many"), tag: "ServerUnreachable", code: 4, says: "it answers 429: too many" },
  {
    answer: { status: 400, body: { errors: [{ status: "400", title: "bad request", detail: "The request broke off." }] } },
    tag: "ServerUnreachable",
    code: 4,
    says: "it answers 400: The request broke off."
  },
  {
    answer: { status: 408, body: { error: "request-timeout", message: "The state did not arrive in 30s." } },
    tag: "ServerUnreachable",
    code: 4,
    says: "it answers 408: The state did not arrive in 30s."
  },
  {
    answer: { status: 503, body: { error: "storage", message: "The disk is full." } },
    tag: "ServerUnreachable",
    code: 4,
    says: "it answers 503: The disk is full."
  },
  { answer: { body: { surprising: true } }, tag: "ServerUnreachable", code: 4, says: "no agent-job server of this version" },
  { answer: "reset" as const, tag: "ServerUnreachable", code: 4, says: "the connection was closed" },
  { answer: endlessly, tag: "ServerUnreachable", code: 4, says: "(it answers more than 128 MiB)" },
  {
    answer: (response: ServerResponse) => endlessly(response.writeHead(403)),
    tag: "ServerUnreachable",
    code: 4,
    says: "(it answers 403, which is not the server's own)"
  }
])("ends as $tag with exit code $code, and without the token", ({ answer, code, says = "", tag }) =>
  Effect.gen(function*() {
    const error = yield* failureOn(answer)
    expect([error._tag, exitCodeOf(error), error.message.includes(userToken)]).toEqual([tag, code, false])
    expect(error.message).toContain(says)
  }))

const busy = (seconds: string) => ({ headers: { "retry-after": seconds } })
it.live.each([
  { answer: { ...refusal(429, "too many"), ...busy("5") }, says: "it answers 429: too many", seconds: 5 },
  { answer: { ...refusal(503, "no room"), ...busy("5") }, says: "it answers 503: no room", seconds: 5 },
  { answer: { status: 503, ...busy("5") }, says: "it answers 503", seconds: 5 },
  { answer: { status: 429, ...busy("3600") }, says: "it answers 429", seconds: 30 },
  { answer: { status: 429, ...busy("Wed, 21 Oct 2015 07:28:00 GMT") }, says: "it answers 429", seconds: 0 },
  { answer: { status: 429 }, says: "it answers 429", seconds: 0 }
])(
  "says that a server is busy, and no other advice, where $says, with $seconds s to wait",
  ({ answer, says, seconds }) =>
    Effect.gen(function*() {
      const error = yield* failureOn(answer)
      expect(error).toMatchObject({ _tag: "ServerUnreachable", why: { _tag: "Busy", seconds } })
      expect(error.message).toMatch(/^The agent-job server at http:\S+ is busy \(.*\); try again later\.$/u)
      expect(error.message).toContain(`(${says})`)
    })
)

it.live.each([
  { given: "a firewall", answer: { status: 403 }, comesThrough: false },
  { given: "a login page", answer: { status: 302, headers: { location: "https://login.example.com/" } }, comesThrough: false },
  { given: "another program", answer: { body: { surprising: true } }, comesThrough: false },
  { given: "the server, by a mistake of its own", answer: refusal(500, "a mistake"), comesThrough: true },
  { given: "nobody", answer: "reset" as const, comesThrough: true }
])(
  "tells whether a large request may come through if it is sent again: answered by $given ($comesThrough)",
  ({ answer, comesThrough }) =>
    Effect.gen(function*() {
      expect(mayComeThrough(yield* failureOn(answer))).toBe(comesThrough)
    })
)

it.live.each([
  { given: "the server, as it is busy", answer: refusal(429, "too many"), forNow: true },
  { given: "the server, as it cannot store now", answer: refusal(503, "no room"), forNow: true },
  { given: "something before a server that is away", answer: { status: 502 }, forNow: true },
  { given: "something before a server that is away", answer: { status: 503 }, forNow: true },
  { given: "something before a server that is silent", answer: { status: 504 }, forNow: true },
  { given: "something that knows no such path", answer: { status: 404 }, forNow: false },
  { given: "the server, by a mistake of its own", answer: refusal(500, "a mistake"), forNow: false },
  { given: "nobody", answer: "reset" as const, forNow: false }
])(
  "tells whether an answer says that the server is away for now: given by $given ($forNow)",
  ({ answer, forNow }) =>
    Effect.gen(function*() {
      const error = yield* failureOn(answer)
      expect(error._tag === "ServerUnreachable" && isAwayForNow(error)).toBe(forNow)
    })
)

it.effect.each([
  { what: "the path is wrong, where nothing else answers below it", ping: { status: 404 }, tag: "ServerUnreachable" },
  { what: "the run is not there, where the server answers below it", ping: { status: 204 }, tag: "NothingThere" },
  { what: "the run is not there, where it cannot be asked for more", ping: "reset" as const, tag: "NothingThere" },
  { what: "the run is not there, where it says no more in time", ping: "silence" as const, tag: "NothingThere" }
])("says of an address with a path that $what", ({ ping, tag }) =>
  Effect.gen(function*() {
    const { server, url } = yield* ScriptedServer.make
    server.script.push(refusal(404, "no"), ping)
    const failing = yield* Effect.forkChild(failureAt(`${url}/agent-job`))
    yield* until(() => server.asked.length === 2)
    yield* TestClock.adjust("5 seconds")
    const error = yield* Fiber.join(failing)
    expect([error._tag, server.asked.map(({ url }) => url)]).toEqual([tag, [`/agent-job${path}`, "/agent-job/api/v2/ping"]])
    expect(error.message).toContain(
      tag === "NothingThere"
        ? `There is no run run-a1 on ${url}/agent-job for this token;`
        : `at ${url}/agent-job (no agent-job API answers below /agent-job; without that path it is ${url}); check`
    )
  }))

it.live.each([
  {
    what: "a redirect to TLS",
    to: (path: string) => `https://jobs.example.com/blue${path}`,
    detail: "it redirects to https://jobs.example.com/blue; use that address"
  },
  {
    what: "a redirect to a login page",
    to: () => "https://login.example.com/start?secret=1",
    detail: "it redirects to https://login.example.com, which is not the server's own"
  },
  { what: "a redirect to itself", to: (path: string) => path, detail: "it answers 308, which is not the server's own" },
  { what: "a redirect to what is no page", to: () => "mailto:a@example.com", detail: "it answers 308, which is not the server's own" },
  { what: "a redirect to nowhere", to: () => "https://", detail: "it answers 308, which is not the server's own" }
])("says where $what leads, and no more", ({ detail, to }) =>
  Effect.gen(function*() {
    expect(yield* failureOn({ status: 308, headers: { location: to(path) } })).toMatchObject({ _tag: "ServerUnreachable", detail })
  }))

it.live("says in words that an https address is of a server without TLS", () =>
  Effect.gen(function*() {
    const { url } = yield* ScriptedServer.make
    const https = url.replace("http:", "https:")
    expect((yield* failureAt(https)).message).toBe(
      `No usable answer from the agent-job server at ${https} (it does not speak TLS; is it http://?); check that it runs and that AGENT_JOB_URL or --url is right.`
    )
  }))

it.live("says that a server that closes the connection may speak TLS, as ours does", () =>
  Effect.gen(function*() {
    const port = yield* listening(createSecure(authority(yield* directory).sign("localhost")))
    expect((yield* failureAt(`http://localhost:${port}`)).message).toBe(
      `No usable answer from the agent-job server at http://localhost:${port} (the connection was closed); check that it runs, and whether its address begins with https://.`
    )
  }))

it.live("says how to trust the authority of a certificate, and nothing of a server that does not run", () =>
  Effect.gen(function*() {
    const port = yield* listening(createSecure(authority(yield* directory).sign("localhost", "DNS:localhost")))
    expect((yield* failureAt(`https://localhost:${port}`)).message).toBe(
      `No usable answer from the agent-job server at https://localhost:${port} (its certificate is from an authority that is not trusted here); set NODE_EXTRA_CA_CERTS=ca.pem to the certificate of that authority.`
    )
  }))

const coded = (code: string, cause?: unknown) => Object.assign(new Error(`${code}\n of a socket`, { cause }), { code })
it.effect.each([
  { what: "a code that there are words for", cause: coded("ECONNREFUSED"), detail: "connection refused", hadNoEffect: true },
  { what: "the outer one of two", cause: coded("EPROTO", coded("ECONNREFUSED")), detail: "it does not speak TLS; is it http://?" },
  {
    what: "the inner one of two, if the outer is not known",
    cause: coded("OTHER", coded("ENOTFOUND")),
    detail: "there is no host of that name",
    hadNoEffect: true
  },
  { what: "no known code", cause: coded("OTHER"), detail: "OTHER of a socket" }
])("says why there is no answer, by $what", ({ cause, detail, hadNoEffect = false }) =>
  Effect.gen(function*() {
    const http = HttpClient.make((request) =>
      Effect.fail(new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, cause }) }))
    )
    expect(yield* failureWith("http://server", http)).toMatchObject({
      _tag: "ServerUnreachable",
      detail,
      why: { _tag: "Unanswered", hadNoEffect }
    })
  }))
