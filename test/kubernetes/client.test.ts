import { describe, expect, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Logger, References, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { createServer, type ServerResponse } from "node:http"
import { createServer as createSecure } from "node:https"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import type { Credentials } from "../../src/kubernetes/credentials.ts"
import type { KubernetesError } from "../../src/kubernetes/errors.ts"
import { agentTasks, configMaps, decoding, jobs, leases, pods } from "../../src/kubernetes/kinds.ts"
import { authority } from "../http/certificates.ts"
import { endlessly } from "../http/endless.ts"
import { listening } from "../http/forward-proxy.ts"
import { directory } from "../server/live-server.ts"
import { until } from "../until.ts"
import { type Answer, ScriptedServer } from "./scripted-server.ts"

const at = { namespace: "team", name: "demo" }
const stored = (name = "demo") => ({
  metadata: { namespace: "team", name, uid: `uid-${name}`, resourceVersion: "7" },
  data: { key: "value" }
})
const found: Answer = { body: stored() }
const status = (code: number, reason: string, more: object = {}, headers: Record<string, string> = {}): Answer => ({
  status: code,
  headers,
  body: { kind: "Status", code, reason, message: `about ${reason}`, ...more }
})
const lines = (...events: ReadonlyArray<unknown>): Answer => (response) => {
  response.writeHead(200, { "content-type": "application/json" }).end(events.map((event) => JSON.stringify(event) + "\n").join(""))
}

/** A client of a scripted server, whose token is "first" until it is refreshed. */
const setup = Effect.gen(function*() {
  const { server, url } = yield* ScriptedServer.make
  let token = "first"
  const credentials: Credentials = {
    server: url,
    namespace: "team",
    tls: {},
    headers: Effect.sync(() => ({ authorization: `Bearer ${token}` })),
    refresh: Effect.sync(() => {
      token = "second"
    })
  }
  const kubernetes = Context.get(yield* Layer.build(Kubernetes.layer(Effect.succeed(credentials))), Kubernetes)
  return { kubernetes, server, url }
})

it.live("has a connection for the Lease of who leads while all else that a controller asks at once has no answer", () =>
  Effect.gen(function*() {
    const { kubernetes, server } = yield* setup
    const atOnce = 3 + 16 + 8 + 8 // watches, passes, assignments, cancellations
    server.route = (path) => path.includes("/leases/") ? found : "silence"
    yield* Effect.forEach(Array.from({ length: atOnce }), () => Effect.forkScoped(kubernetes.get(jobs, at)), { discard: true })
    yield* until(() => server.asked.length === atOnce)
    yield* kubernetes.update(leases, { metadata: { ...at, resourceVersion: "7" } })
    expect(server.asked.at(-1)).toMatchObject({ method: "PUT", url: expect.stringContaining("/leases/demo") })
  }).pipe(Effect.scoped))

it.live("has sixty-four connections at most, on which other calls wait for their turn", () =>
  Effect.gen(function*() {
    const { kubernetes, server } = yield* setup
    const waiting: Array<ServerResponse> = []
    server.otherwise = (response) => {
      waiting.push(response)
      if (server.asked.length >= 64) { for (const one of waiting.splice(0)) one.end(JSON.stringify(stored())) }
    }
    yield* Effect.replicateEffect(kubernetes.get(jobs, at), 80, { concurrency: "unbounded", discard: true })
    expect(server.connections.size).toBeLessThanOrEqual(64)
  }).pipe(Effect.scoped))

it.live("tells each request at level Debug, without its query, headers and body, and that it has no answer", () =>
  Effect.gen(function*() {
    const { kubernetes, server } = yield* setup
    const said: Array<unknown> = []
    server.script.push(status(401, "Unauthorized"), { body: { metadata: { resourceVersion: "7" }, items: [] } }, "reset")
    yield* kubernetes.list(jobs, { labelSelector: "s3cret=s3cret" }).pipe(
      Effect.andThen(kubernetes.create(configMaps, { metadata: at, data: { key: "s3cret" } })),
      Effect.ignore,
      Effect.provideService(References.MinimumLogLevel, "Debug"),
      Effect.provide(Logger.layer([Logger.make(({ message }) => said.push(message))]))
    )
    const line = (asked: object) => ["the API server was asked", { ...asked, millis: expect.any(Number) }]
    expect(said).toEqual([
      line({ verb: "list", path: "/apis/batch/v1/jobs", status: 401 }),
      line({ verb: "list", path: "/apis/batch/v1/jobs", status: 200 }),
      line({ verb: "create", path: "/api/v1/namespaces/team/configmaps", status: "none" })
    ])
  }))

describe("the paths and bodies of requests", () => {
  it.live("are those of the Kubernetes API", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.otherwise = found
      yield* kubernetes.get(jobs, at)
      yield* kubernetes.create(configMaps, { metadata: at, data: { key: "value" } })
      yield* kubernetes.apply(configMaps, { metadata: { ...at, uid: "u" } })
      yield* kubernetes.update(configMaps, { metadata: { ...at, resourceVersion: "7" } })
      yield* kubernetes.updateStatus(agentTasks, { metadata: { ...at, resourceVersion: "7" }, status: { phase: "Queued" } })
      yield* kubernetes.patch(agentTasks, at, [{ op: "test", path: "/metadata/uid", value: "u" }])
      yield* kubernetes.delete(jobs, at, { uid: "u", gracePeriodSeconds: 5 })
      yield* kubernetes.create(configMaps, { metadata: at }, { within: "4 seconds" })
      yield* kubernetes.update(configMaps, { metadata: { ...at, resourceVersion: "7" } }, { within: "4 seconds" })
      expect(server.asked.map(({ method, url }) => `${method} ${url}`)).toEqual([
        "GET /apis/batch/v1/namespaces/team/jobs/demo",
        "POST /api/v1/namespaces/team/configmaps?fieldManager=agent-job&timeout=25s&fieldValidation=Strict",
        "PATCH /api/v1/namespaces/team/configmaps/demo?fieldManager=agent-job&timeout=25s&force=true",
        "PUT /api/v1/namespaces/team/configmaps/demo?fieldManager=agent-job&timeout=25s&fieldValidation=Strict",
        "PUT /apis/scalr.io/v1/namespaces/team/atasks/demo/status?fieldManager=agent-job&timeout=25s&fieldValidation=Strict",
        "PATCH /apis/scalr.io/v1/namespaces/team/atasks/demo?fieldManager=agent-job&timeout=25s&fieldValidation=Strict",
        "DELETE /apis/batch/v1/namespaces/team/jobs/demo?timeout=25s",
        "POST /api/v1/namespaces/team/configmaps?fieldManager=agent-job&timeout=4s&fieldValidation=Strict",
        "PUT /api/v1/namespaces/team/configmaps/demo?fieldManager=agent-job&timeout=4s&fieldValidation=Strict"
      ])
      expect(server.asked[2]?.headers["content-type"]).toBe("application/apply-patch+yaml")
      expect(server.asked[5]?.headers["content-type"]).toBe("application/json-patch+json")
      const bodies = server.asked.map(({ body }) => body === "" ? undefined : JSON.parse(body))
      expect(bodies[1]).toEqual({ apiVersion: "v1", kind: "ConfigMap", metadata: at, data: { key: "value" } })
      expect(bodies[5]).toEqual([{ op: "test", path: "/metadata/uid", value: "u" }])
      expect(bodies[6]).toMatchObject({ propagationPolicy: "Background", gracePeriodSeconds: 5, preconditions: { uid: "u" } })
    }))

  it.live("tell once what the API server did not store of a status, by each of its warnings", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      const said: Array<unknown> = []
      const [digest, again] = [
        String.raw`299 - "unknown field \"status.result.digest\""`,
        String.raw`299 - "unknown field \"status.again\""`
      ]
      server.script.push(
        { headers: { warning: digest }, body: stored() },
        ...Array.from({ length: 100 }, (_, index) => ({ headers: { warning: `299 - "not before ${index}"` }, body: stored() })),
        { headers: { warning: `${digest}, 299 - "this version is deprecated", ${again}` }, body: stored() },
        found
      )
      const write = kubernetes.updateStatus(agentTasks, { metadata: { ...at, resourceVersion: "7" }, status: {} }, "Warn")
      yield* Effect.provide(Effect.replicateEffect(write, 103), Logger.layer([Logger.make(({ message }) => said.push(message))]))
      const text = (field: string) =>
        `The API server warns about the status of AgentTask team/demo: unknown field "${field}"; it does not store what the CRD does not know, so apply the CRD of the newest version that runs here.`
      expect(said.flat()).toEqual([text("status.result.digest"), text("status.again")])
    }))

  it.live("tell of a hundred fields that the API server does not store, and remember no more of them", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      const said: Array<unknown> = []
      const warning = Array.from({ length: 101 }, (_, index) => String.raw`299 - "unknown field \"${index}\""`).join(", ")
      server.otherwise = { headers: { warning }, body: stored() }
      const write = kubernetes.updateStatus(agentTasks, { metadata: { ...at, resourceVersion: "7" }, status: {} }, "Warn")
      yield* Effect.provide(Effect.replicateEffect(write, 2), Logger.layer([Logger.make(({ message }) => said.push(message))]))
      expect(said).toHaveLength(100)
    }))

  it.live("cannot leave their place, whatever the name", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.otherwise = found
      yield* kubernetes.get(jobs, { namespace: "team", name: "../secrets/key?x" })
      for (const name of ["", ".", ".."]) yield* kubernetes.get(pods, { namespace: "team", name })
      yield* kubernetes.get(pods, { namespace: "..", name: "demo" })
      expect(server.asked.map(({ url }) => url)).toEqual([
        "/apis/batch/v1/namespaces/team/jobs/..%2Fsecrets%2Fkey%3Fx",
        "/api/v1/namespaces/team/pods/%3A",
        "/api/v1/namespaces/team/pods/%3A.",
        "/api/v1/namespaces/team/pods/%3A..",
        "/api/v1/namespaces/%3A../pods/demo"
      ])
    }))

  it.live("share pooled connections, whether they succeed or are refused", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      for (let count = 0; count < 50; count++) {
        server.script.push(count % 2 === 0 ? found : status(404, "NotFound"))
        yield* Effect.ignore(kubernetes.get(jobs, at))
      }
      expect(server.connections.size).toBeLessThanOrEqual(2)
    }))
})

describe("a refusal", () => {
  const causes = [{ field: "spec.source", reason: "FieldValueInvalid", message: "exactly one is required" }]
  const denied = "forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: not on Fridays"
  const uidCauses = [{ field: "metadata.uid", reason: "FieldValueInvalid", message: "field is immutable" }]
  it.live.each([
    { given: "404", answer: status(404, "NotFound"), tag: "NotFound", says: "not there" },
    { given: "409 for a taken name", answer: status(409, "AlreadyExists"), tag: "AlreadyExists", says: "exists already" },
    { given: "409 for a newer version", answer: status(409, "Conflict"), tag: "Conflict", says: "about Conflict); try again" },
    {
      given: "409 for a UID that is gone",
      answer: status(409, "Conflict", { message: "uid mismatch: …" }),
      tag: "NotFound",
      says: "not there"
    },
    {
      given: "422 for a UID that is another's",
      answer: status(422, "Invalid", { details: { causes: uidCauses } }),
      tag: "NotFound",
      says: "not there"
    },
    {
      given: "422",
      answer: status(422, "Invalid", { details: { causes } }),
      tag: "Invalid",
      says: "spec.source: exactly one is required; correct"
    },
    {
      given: "422 which says that it did not look at all rules",
      answer: status(422, "Invalid", {
        details: { causes: [...causes, { field: "<nil>", message: "some validation rules were not checked" }] }
      }),
      tag: "Invalid",
      says: "create Job team/demo: spec.source: exactly one is required; correct"
    },
    {
      given: "422 by a policy that names no reason",
      answer: status(422, "Invalid", { message: `jobs.batch "demo" is ${denied}`, details: { causes: [{ message: denied }] } }),
      tag: "Forbidden",
      says: "denied request: not on Fridays; grant it"
    },
    {
      given: "422 by a policy, for an object that has no name yet",
      answer: status(422, "Invalid", { message: `jobs.batch is ${denied}` }),
      tag: "Forbidden",
      says: "ask who set the policy"
    },
    {
      given: "422 by a webhook",
      answer: status(422, "Invalid", { message: "admission webhook \"w.example\" denied the request: no", details: { causes } }),
      tag: "Forbidden",
      says: "ask who set the policy"
    },
    {
      given: "422 by a rule whose words are like those of a policy",
      answer: status(422, "Invalid", {
        message: `Job "demo" is invalid: spec.source: Invalid value: jobs is ${denied}`,
        details: { causes }
      }),
      tag: "Invalid",
      says: "spec.source: exactly one is required; correct"
    },
    {
      given: "422 for a `test` that does not hold",
      answer: status(422, "Invalid", { message: "the server rejected our request due to an error in our request", details: {} }),
      tag: "Invalid",
      says: "rejected our request"
    },
    { given: "410", answer: status(410, "Expired"), tag: "Gone", says: "try again" },
    { given: "403 by RBAC", answer: status(403, "Forbidden"), tag: "Forbidden", says: "grant it" },
    { given: "403 by a quota", answer: status(403, "Forbidden", { message: "exceeded quota: pods" }), tag: "Forbidden", says: "free room" },
    {
      given: "403 in a namespace that is being deleted",
      answer: status(403, "Forbidden", {
        message: "jobs.batch \"demo\" is forbidden: unable to create new content in namespace team because it is being terminated"
      }),
      tag: "Forbidden",
      says: "terminated; see what keeps that from its end, and install it anew once it is gone"
    },
    {
      given: "403 for a kind that is being deleted",
      answer: status(403, "Forbidden", {
        message: "atasks.scalr.io \"demo\" is forbidden: create not allowed while custom resource definition is terminating"
      }),
      tag: "Forbidden",
      says: "terminating; see what keeps that from its end"
    },
    { given: "405", answer: status(405, "MethodNotAllowed"), tag: "Rejected", says: "405 MethodNotAllowed" },
    {
      given: "429 with a long delay",
      answer: status(429, "TooManyRequests", {}, { "retry-after": "30" }),
      tag: "TooManyRequests",
      says: "try again in 30s"
    },
    {
      given: "503 with a long delay",
      answer: status(503, "ServiceUnavailable", {}, { "retry-after": "30" }),
      tag: "TooManyRequests",
      says: "try again in 30s"
    },
    {
      given: "500",
      answer: status(500, "InternalError"),
      tag: "Unreachable",
      says: "the API server failed (HTTP 500 InternalError: about InternalError); see what its answer names"
    },
    {
      given: "504, which names nothing that was waited for",
      answer: status(504, "Timeout"),
      tag: "Unreachable",
      says: "the API server failed (HTTP 504 Timeout: about Timeout); see which webhook hangs or is slow (kubectl get "
    },
    {
      given: "a page of a proxy",
      answer: { status: 502, body: "<html>" } satisfies Answer,
      tag: "Unreachable",
      says: "no usable answer (HTTP 502"
    },
    {
      given: "a redirect, such as of a proxy to its login page",
      answer: { status: 302, headers: { location: "https://login.example.com/" } } satisfies Answer,
      tag: "Unreachable",
      says: "no usable answer (HTTP 302"
    },
    {
      given: "a page without end",
      answer: (response) => endlessly(response.writeHead(502)),
      tag: "Unreachable",
      says: "no usable answer (HTTP 502"
    },
    {
      given: "an answer of another shape",
      answer: { body: { hello: 1 } } satisfies Answer,
      tag: "Malformed",
      says: "not a Kubernetes object"
    }
  ])("is told apart: $given", ({ answer, says, tag }) =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push(answer)
      const error = yield* Effect.flip(kubernetes.create(jobs, { metadata: at }))
      expect(error._tag).toBe(tag)
      expect(error.message).toMatch(/^Cannot create Job team\/demo: [^\n]*\.$/u)
      expect(error.message).toContain(says)
    }))

  it.live("that is none at a write's time limit says what the API server may have waited for", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push((response) => setTimeout(() => response.destroy(), 100), "reset")
      const replaced = (within: "50 millis" | "5 minutes") =>
        Effect.flip(kubernetes.update(jobs, { metadata: { ...at, resourceVersion: "7" } }, { within }))
      const { message } = yield* replaced("50 millis")
      expect(message).toMatch(/gave no usable answer \(.*closed\); see which webhook hangs or is slow/u)
      expect((yield* replaced("5 minutes")).message).not.toContain("webhook")
    }))

  it.live("names the fields of an answer that does not fit the schema, and none of their values", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.otherwise = found
      const strict = decoding(configMaps, Schema.Struct({ data: Schema.Struct({ key: Schema.Int }) }))
      const error = yield* Effect.flip(kubernetes.get(strict, at))
      expect([error._tag, error.message]).toEqual(["Malformed", expect.stringContaining("data.key")])
      expect(error.message).not.toContain("value")
      const fitting = decoding(configMaps, Schema.Struct({ data: Schema.Struct({ key: Schema.String }) }))
      expect(yield* kubernetes.get(fitting, at)).toEqual({ data: { key: "value" } })
    }))
})

describe("trying again", () => {
  it.live("reads through two lost answers, and gives up at the third", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push("reset", status(500, "InternalError"), found)
      yield* kubernetes.get(jobs, at)
      server.script.push("reset", "reset", "reset")
      expect(yield* Effect.flip(kubernetes.get(jobs, at))).toMatchObject({ _tag: "Unreachable", verb: "get", object: "Job team/demo" })
      expect(server.asked).toHaveLength(6)
    }))

  it.live("repeats a question, and an apply and a delete that are guarded by a UID", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push("reset", found, "reset", found, "reset", found)
      yield* kubernetes.review(jobs, { spec: {} })
      yield* kubernetes.apply(jobs, { metadata: { ...at, uid: "u" } })
      yield* kubernetes.delete(jobs, at, { uid: "u" })
      expect(server.asked).toHaveLength(6)
    }))

  it.live("never repeats a write that might make, change or delete another object by then", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      const versioned = { metadata: { ...at, resourceVersion: "7" } }
      for (
        const write of [
          kubernetes.create(jobs, { metadata: at }),
          kubernetes.update(jobs, versioned),
          kubernetes.updateStatus(jobs, versioned),
          kubernetes.patch(jobs, at, []),
          kubernetes.apply(jobs, { metadata: at }),
          kubernetes.delete(jobs, at)
        ]
      ) {
        server.script.push("reset", found)
        expect((yield* Effect.flip<unknown, KubernetesError, never>(write))._tag).toBe("Unreachable")
        server.script.length = 0
      }
      expect(server.asked).toHaveLength(6)
    }))

  it.live("obeys a short Retry-After for every verb", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push(status(429, "TooManyRequests", {}, { "retry-after": "1" }), found)
      const [took] = yield* Effect.timed(kubernetes.create(jobs, { metadata: at }))
      expect(Duration.toMillis(took)).toBeGreaterThanOrEqual(1000)
      expect(server.asked).toHaveLength(2)
    }))

  it.live("leaves a long Retry-After to the caller", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push(status(429, "TooManyRequests", {}, { "retry-after": "30" }))
      expect(yield* Effect.flip(kubernetes.get(jobs, at))).toMatchObject({ retryAfter: Duration.seconds(30) })
    }))

  it.live.each(["86400", "Fri, 31 Dec 9999 23:59:59 GMT"])("takes a Retry-After of %s for a minute", (header) =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push(status(503, "ServiceUnavailable", {}, { "retry-after": header }))
      expect(yield* Effect.flip(kubernetes.get(jobs, at))).toMatchObject({ retryAfter: Duration.minutes(1) })
    }))

  it.live("reads the credentials anew after a 401, once", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push(status(401, "Unauthorized"), found)
      yield* kubernetes.create(jobs, { metadata: at })
      expect(server.asked.map(({ headers }) => headers["authorization"])).toEqual(["Bearer first", "Bearer second"])
      server.script.push(status(401, "Unauthorized"), status(401, "Unauthorized"))
      const error = yield* Effect.flip(kubernetes.get(jobs, at))
      expect(error._tag).toBe("Unauthorized")
      expect(JSON.stringify(error) + error.message).not.toContain("second")
    }))

  it.effect.each<{ readonly given: string; readonly answer: Answer }>([
    { given: "at all", answer: "silence" },
    { given: "to the end", answer: (response) => void response.writeHead(200).write("{") }
  ])("ends a call that is never answered $given", ({ answer }) =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push(answer)
      const call = yield* Effect.forkChild(Effect.flip(kubernetes.create(jobs, { metadata: at })))
      yield* until(() => server.asked.length === 1)
      yield* TestClock.adjust("30 seconds")
      expect(yield* Fiber.join(call)).toMatchObject({ _tag: "Unreachable", detail: expect.stringContaining("no answer in 30s") })
    }))

  it.live("says where nobody listens", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.scoped(ScriptedServer.make)
      const credentials: Credentials = { server: url, namespace: "team", tls: {}, headers: Effect.succeed({}), refresh: Effect.void }
      const kubernetes = Context.get(yield* Layer.build(Kubernetes.layer(Effect.succeed(credentials))), Kubernetes)
      const error = yield* Effect.flip(kubernetes.create(jobs, { metadata: at }))
      expect(error.message).toContain(`Cannot create Job team/demo: the API server gave no usable answer (${url}: connection refused`)
    }))

  it.live.each([
    { given: "a plain port", secure: false, says: "it does not speak TLS; is it http://?); check that the cluster is up and reachable." },
    {
      given: "a certificate that nobody vouches for",
      secure: true,
      says:
        "its certificate is from an authority that is not trusted here); name that authority as certificate-authority of the cluster in the kubeconfig."
    }
  ])("says in words that https leads to $given", ({ says, secure }) =>
    Effect.gen(function*() {
      const port = yield* listening(
        secure
          ? createSecure(authority(yield* directory).sign("localhost", "DNS:localhost"))
          : createServer((_, response) => response.end())
      )
      const server = `https://localhost:${port}`
      const credentials: Credentials = { server, namespace: "team", tls: {}, headers: Effect.succeed({}), refresh: Effect.void }
      const kubernetes = Context.get(yield* Layer.build(Kubernetes.layer(Effect.succeed(credentials))), Kubernetes)
      const error = yield* Effect.flip(kubernetes.create(jobs, { metadata: at }))
      expect(error.message).toContain(`gave no usable answer (${server}: ${says}`)
    }))
})

describe("a list", () => {
  const page = (names: ReadonlyArray<string>, next?: string): Answer => ({
    body: { metadata: { resourceVersion: "9", ...(next && { continue: next }) }, items: names.map(stored) }
  })

  it.live("asks for page after page", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push(page(["a", "b"], "more"), page(["c"]))
      const all = yield* Stream.runCollect(kubernetes.listAll(jobs, { namespace: "team", labelSelector: "app=x", limit: 2 }))
      expect(all.map(({ metadata }) => metadata.name)).toEqual(["a", "b", "c"])
      expect(server.asked.map(({ url }) => url)).toEqual([
        "/apis/batch/v1/namespaces/team/jobs?labelSelector=app%3Dx&limit=2",
        "/apis/batch/v1/namespaces/team/jobs?labelSelector=app%3Dx&continue=more&limit=2"
      ])
    }))

  it.live("reads no more of a page than it may, and does not ask for that again", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      const body = { metadata: { resourceVersion: "7" }, items: [stored("a"), stored("b")] }
      server.otherwise = { body }
      const { length } = JSON.stringify(body)
      expect((yield* kubernetes.list(jobs, { mostBytes: length })).items).toHaveLength(2)
      expect(yield* Effect.flip(kubernetes.list(jobs, { mostBytes: length - 1 }))).toMatchObject({ _tag: "Malformed" })
      expect(server.asked.map(({ url }) => url)).toEqual(["/apis/batch/v1/jobs?limit=500", "/apis/batch/v1/jobs?limit=500"])
    }).pipe(Effect.scoped))

  it.live("takes `items: null` as empty, and tells an expired page", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push({ body: { metadata: { resourceVersion: "9" }, items: null } }, status(410, "Expired"))
      expect(yield* kubernetes.list(jobs)).toEqual({ items: [], resourceVersion: "9", continue: undefined })
      expect(server.asked[0]?.url).toBe("/apis/batch/v1/jobs?limit=500")
      const error = yield* Effect.flip(kubernetes.list(jobs, { continue: "old" }))
      expect([error._tag, error.message]).toEqual(["Gone", expect.stringContaining("Cannot list Job objects in all namespaces")])
    }))
})

describe("a watch", () => {
  const watch = (kubernetes: Kubernetes["Service"]) =>
    kubernetes.watch(jobs, { namespace: "team", resourceVersion: "5", timeoutSeconds: 60 })

  it.live("gives events and bookmarks, and ends when the server ends it", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push(
        lines({ type: "ADDED", object: stored() }, { type: "BOOKMARK", object: { metadata: { resourceVersion: "8" } } }, {
          type: "DELETED",
          object: stored()
        })
      )
      expect(yield* Stream.runCollect(watch(kubernetes))).toEqual([
        { type: "ADDED", object: stored() },
        { type: "BOOKMARK", resourceVersion: "8", whole: false },
        { type: "DELETED", object: stored() }
      ])
      expect(server.asked[0]?.url).toBe(
        "/apis/batch/v1/namespaces/team/jobs?resourceVersion=5&timeoutSeconds=60&watch=true&allowWatchBookmarks=true"
      )
    }))

  it.live("without a version begins with everything, and says when that was all", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      const end = { type: "BOOKMARK", object: { metadata: { resourceVersion: "9", annotations: { "k8s.io/initial-events-end": "true" } } } }
      server.script.push(lines({ type: "ADDED", object: stored() }, end))
      expect(yield* Stream.runCollect(kubernetes.watch(jobs, { namespace: "team", resourceVersion: undefined }))).toEqual([
        { type: "ADDED", object: stored() },
        { type: "BOOKMARK", resourceVersion: "9", whole: true }
      ])
      const asked = new URL(server.asked[0]?.url ?? "", "http://localhost").searchParams
      expect(Object.fromEntries(asked)).toEqual({
        watch: "true",
        allowWatchBookmarks: "true",
        sendInitialEvents: "true",
        resourceVersionMatch: "NotOlderThan"
      })
    }))

  it.live("fails on an ERROR event, as a response with that code would", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push(lines({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired", message: "too old" } }))
      expect((yield* Effect.flip(Stream.runDrain(watch(kubernetes))))._tag).toBe("Gone")
      server.script.push(lines({ type: "ERROR", object: { kind: "Status", message: "internal" } }))
      expect((yield* Effect.flip(Stream.runDrain(watch(kubernetes))))._tag).toBe("Unreachable")
    }))

  it.live("gives the whole lines before one that breaks off", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push((response) => response.writeHead(200).end(`${JSON.stringify({ type: "ADDED", object: stored() })}\n{"type":"MODI`))
      const seen: Array<string> = []
      const error = yield* watch(kubernetes).pipe(Stream.runForEach(({ type }) => Effect.sync(() => void seen.push(type))), Effect.flip)
      expect([seen, error._tag]).toEqual([["ADDED"], "Unreachable"])
    }))

  it.live("closes its connection with its consumer", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push((response) => void response.writeHead(200).write(JSON.stringify({ type: "ADDED", object: stored() }) + "\n"))
      yield* Stream.runDrain(Stream.take(watch(kubernetes), 1))
      yield* until(() => server.connections.size === 0)
    }))
})

describe("a line of a watch", () => {
  it.live("that has no end is not waited for: no object is that long", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push((response) => response.writeHead(200).end("x".repeat(17 * 1024 * 1024)))
      const error = yield* Effect.flip(Stream.runDrain(kubernetes.watch(jobs, { namespace: "team", resourceVersion: "5" })))
      expect([error._tag, error.message]).toEqual(["Unreachable", expect.stringContaining("an event has no end")])
    }))
})

describe("a Pod's log", () => {
  it.live("comes as bytes, with the options Kubernetes knows", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = yield* setup
      server.script.push((response) => response.writeHead(200).end("one\ntwo\n"))
      const text = yield* kubernetes.logs(at, { container: "worker", follow: true }).pipe(Stream.decodeText(), Stream.mkString)
      expect(text).toBe("one\ntwo\n")
      expect(server.asked[0]?.url).toBe("/api/v1/namespaces/team/pods/demo/log?container=worker&follow=true")
    }))
})
