// The worker's client of the task API: who gets the token, which requests are repeated, and what an answer means.
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Logger, Option, References } from "effect"
import { TestClock } from "effect/testing"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { setImmediate } from "node:timers/promises"
import { failureInWords } from "../../../src/http/failure-words.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { makeJournal } from "../../../src/worker/engine/journal.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import { NoAnswer, refusalOf, type TaskApiError } from "../../../src/worker/network/task-api-error.ts"
import { TaskApi } from "../../../src/worker/network/task-api.ts"
import { Settings } from "../../../src/worker/settings.ts"
import { loggerTo } from "../../logger.ts"
import { until } from "../../until.ts"
import { sha256 } from "../fake-task-api.ts"
import { type PoolParts, poolParts, taskUid } from "../pool-parts.ts"

const withTaskApi = <A, E>(
  use: (taskApi: TaskApi["Service"], parts: PoolParts) => Effect.Effect<A, E, Settings>,
  patience?: string
) =>
  Effect.gen(function*() {
    const parts = yield* poolParts(patience)
    const context = yield* Layer.build(parts.layer)
    return yield* Effect.provide(Effect.flatMap(TaskApi, (taskApi) => use(taskApi, parts)), context)
  }).pipe(Effect.scoped)

const result = { outcome: "succeeded", reason: "Completed", message: "Done.", finishedAt: "2026-01-01T00:00:00Z" } as const

describe.concurrent("the task API", () => {
  it.live("gives the details of the stage, asked again while nobody answers", () =>
    withTaskApi(Effect.fnUntraced(function*({ details }, { api }) {
      api.variables = [{ name: "region", value: "eu", sensitive: true }]
      api.fault("GET /assignment", "not ours", 500, "lose answer")
      expect((yield* details).variables).toEqual(api.variables)
    })))

  it.live("gives up with PoolUnreachable after its patience", () =>
    withTaskApi(
      Effect.fnUntraced(function*({ details }, { api }) {
        api.goDown()
        const { message, reason } = yield* Effect.flip(details)
        expect(reason).toBe("PoolUnreachable")
        expect(message.replace(/\([^)]+\)/u, "(why)")).toBe(
          `The pool's server at ${api.url} gave no usable answer (why); check that it answers there, and the network: a task asks the address that agent.url had when it was made, whatever the values say now.`
        )
        expect(message).not.toContain(api.token)
      }),
      "1 second"
    ))

  it.each([
    { code: "SELF_SIGNED_CERT_IN_CHAIN", next: "put the certificate of that authority into global.tls.caBundle" },
    { code: "CERT_HAS_EXPIRED", next: "have that certificate renewed, or correct the clock here" }
  ])("says what to do about a certificate that is of no use ($code), and nothing of the network", ({ code, next }) => {
    const detail = failureInWords(Object.assign(new Error(code), { code }))
    expect(new NoAnswer({ url: "https://pool", detail }).message).toBe(
      `The pool's server at https://pool gave no usable answer (${detail}); ${next}.`
    )
  })

  it.effect("says in its output, once, that the server has not answered for 20 seconds, and why", () =>
    withTaskApi(
      Effect.fnUntraced(function*({ patiently }) {
        const said: Array<unknown> = []
        const logger = loggerTo(({ logLevel, message }) => void said.push([logLevel, message]))
        const away = new NoAnswer({ url: "http://pool", detail: "connection refused" })
        const asking = patiently(Effect.fail(away)).pipe(Effect.ignore, Effect.provide(Logger.layer([logger])))
        yield* Effect.forkChild(asking)
        yield* TestClock.adjust("15 seconds")
        expect(said).toEqual([])
        yield* TestClock.adjust("4 minutes")
        expect(said).toEqual([["Warn", [away.message]]])
      }),
      "5 minutes"
    ))

  it.live("gives the server's own words when it cannot take what it is sent, and no advice on the network", () =>
    withTaskApi(Effect.fnUntraced(function*({ tellResult }, { api }) {
      api.fault("POST /result", 500)
      expect(yield* Effect.flip(tellResult(result))).toMatchObject({ _tag: "NoAnswer", message: "Refused with 500." })
    })))

  it.live("says TokenRefused only after it has read the token again", () =>
    withTaskApi(Effect.fnUntraced(function*({ details }, { api, tokenFile }) {
      writeFileSync(tokenFile, "an old token")
      api.onRequest = () => writeFileSync(tokenFile, api.token)
      expect((yield* details).id).toBe("run-a.plan.1")
      api.onRequest = () => {}
      writeFileSync(tokenFile, "a wrong token")
      expect(yield* Effect.flip(details)).toMatchObject({ reason: "TokenRefused" })
    })))

  it.live("names the token that it cannot read, and not the network", () =>
    withTaskApi(
      Effect.fnUntraced(function*({ details }, { tokenFile }) {
        rmSync(tokenFile)
        expect(yield* Effect.flip(details)).toMatchObject({
          reason: "PoolUnreachable",
          message:
            `The worker cannot read the token of this stage in ${tokenFile} (it is not there); check the Secret in spec.pool.tokenSecret.`
        })
      }),
      "1 second"
    ))

  it.live("says in every request which task asks", () =>
    withTaskApi(Effect.fnUntraced(function*(taskApi, { api, privateDirectory }) {
      const file = join(privateDirectory, "file")
      yield* taskApi.details
      yield* taskApi.download("archive", file, sha256(api.archive))
      yield* taskApi.storePlan(file, sha256(api.archive))
      yield* taskApi.appendLog(0, Buffer.from("one"))
      const lock = yield* taskApi.lockState({ ID: "a" })
      const state = Buffer.from(`{"serial":1}`)
      yield* taskApi.pushState(state, sha256(state), lock)
      yield* taskApi.state
      yield* taskApi.unlockState({ ID: "a" })
      yield* taskApi.tellResult(result)
      expect(api.requests.filter((request) => !/ 20[04]$/u.test(request))).toEqual([])
      expect(api.owner).toBe(taskUid)
    })))

  it.live("tells each request at level Debug, without its query, its token and what is given", () =>
    withTaskApi(Effect.fnUntraced(function*({ appendLog, details }, { api }) {
      const said: Array<unknown> = []
      api.variables = [{ name: "region", value: "s3cret", sensitive: true }]
      api.fault("GET /assignment", "lose answer")
      yield* Effect.andThen(details, appendLog(0, Buffer.from("s3cret"))).pipe(
        Effect.provideService(References.MinimumLogLevel, "Debug"),
        Effect.provide(Logger.layer([Logger.make(({ message }) => said.push(message))]))
      )
      const line = (asked: object) => ["the pool's server was asked", { ...asked, millis: expect.any(Number) }]
      expect(said).toEqual([
        line({ method: "GET", path: taskPath.assignment, status: "none" }),
        [expect.stringContaining("gave no usable answer")],
        line({ method: "GET", path: taskPath.assignment, status: 200 }),
        line({ method: "POST", path: taskPath.log, status: 200 })
      ])
    })))

  it.live("fails as refused, and says why, when another agent has the stage", () =>
    withTaskApi(Effect.fnUntraced(function*({ appendLog, details, tellResult }, { api }) {
      api.owner = "uid-of-another"
      expect(yield* Effect.flip(details)).toMatchObject({
        reason: "TokenRefused",
        message: "Another task has this stage, or another pool is to run it, so nothing was run here; follow the run at the pool's server."
      })
      expect(yield* appendLog(0, Buffer.from("one"))).toEqual({ _tag: "Refused" })
      expect(yield* Effect.flip(tellResult(result))).toMatchObject({ _tag: "TokenRefused", status: 409 })
      expect([api.log.length, api.results]).toEqual([0, []])
      expect(api.requests).toHaveLength(3) // no other token would help, so nothing is asked twice
    })))

  it.live("fails with what is to be done first, when the state came into doubt before the stage began", () =>
    withTaskApi(Effect.fnUntraced(function*({ details }, { api }) {
      api.fault("GET /assignment", { status: 409, error: "rescue-pending" })
      expect(yield* Effect.flip(details)).toMatchObject({ reason: "StateRescuePending", message: "Refused as rescue-pending." })
    })))

  it.live("downloads a file again when the connection broke, but not when it is another file", () =>
    withTaskApi(Effect.fnUntraced(function*({ download }, { api, privateDirectory }) {
      const file = join(privateDirectory, "archive")
      api.archive = Buffer.alloc(300_000, 5)
      api.fault("GET /archive", "lose answer", "break")
      yield* download("archive", file, sha256(api.archive))
      expect(readFileSync(file)).toEqual(api.archive)
      const before = api.requests.length
      expect(yield* Effect.flip(download("archive", file, sha256(Buffer.from("other"))))).toMatchObject({ reason: "DigestMismatch" })
      expect(api.requests.length).toBe(before + 1)
      expect(yield* Effect.flip(download("plan", file, sha256(Buffer.from("x"))))).toMatchObject({
        reason: "InvalidConfiguration",
        message: expect.stringContaining("The run has no saved plan.")
      })
    })))

  it.live("stores a plan whose answer was lost", () =>
    withTaskApi(Effect.fnUntraced(function*({ storePlan }, { api, privateDirectory }) {
      const file = join(privateDirectory, "plan")
      writeFileSync(file, Buffer.alloc(300_000, 6))
      api.fault("PUT /plan", "lose answer", "not ours", "break")
      yield* storePlan(file, sha256(readFileSync(file)))
      expect(api.plan).toEqual(readFileSync(file))
    })))

  it.effect.each(
    [
      ["GET /archive", "silence"],
      ["GET /archive", "stall"],
      ["GET /state", "silence"],
      ["PUT /plan", "silence"],
      ["POST /kept-state", "silence"]
    ] as const
  )(
    "asks again, and says so, where the connection of %s has gone dead (%s)",
    ([request, fault]) =>
      withTaskApi(
        Effect.fnUntraced(function*({ download, patiently, state, storePlan, takeKeptState }, { api, privateDirectory }) {
          const file = join(privateDirectory, "file")
          writeFileSync(file, "bytes")
          api.state = Buffer.from(`{"serial":1}`)
          const asked: Readonly<Record<string, Effect.Effect<unknown, unknown>>> = {
            "GET /archive": download("archive", file, sha256(api.archive)),
            "PUT /plan": storePlan(file, sha256(Buffer.from("bytes"))),
            "GET /state": patiently(state),
            "POST /kept-state": patiently(takeKeptState(Buffer.from("bytes")))
          }
          const said: Array<unknown> = []
          const logger = loggerTo(({ logLevel, message }) => void said.push([logLevel, message]))
          let count = 0
          api.onRequest = () => void count++
          api.fault(request, fault)
          const fiber = yield* Effect.forkChild(Effect.provide(asked[request] ?? Effect.die(request), Logger.layer([logger])))
          yield* until(() => count === 1 && (fault === "silence" || readFileSync(file, "utf8") === "a part"))
          yield* Effect.promise(() => setImmediate()) // it learns that the part is written, and waits for the next
          yield* TestClock.adjust("2 minutes")
          yield* until(() => said.length > 0)
          expect(said).toEqual([["Warn", [expect.stringContaining("gave no usable answer (nothing more for 1m); check")]]])
          yield* TestClock.adjust("1 second")
          yield* Fiber.join(fiber)
          expect(count).toBe(2)
        }),
        "5 minutes"
      )
  )

  it.effect("sends a plan over a line that is slow and not dead, for as long as that takes", () =>
    Effect.gen(function*() {
      const [size, step] = [64 * 1024 ** 2, 16 * 1024 ** 2] // a step is more than the kernel keeps of what is on its way
      let [received, requests] = [0, 0]
      let goOn = (): void => {}
      const server = createServer((request, response) => {
        requests++
        request.on("data", (bytes: Buffer) => {
          const before = received
          received += bytes.length
          if (Math.floor(received / step) === Math.floor(before / step)) return
          request.pause()
          goOn = () => void request.resume()
        }).on("end", () => response.writeHead(204).end())
      })
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
        () => Effect.sync(() => (server.close(), server.closeAllConnections()))
      )
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      yield* withTaskApi((_, { layer, privateDirectory }) =>
        Effect.gen(function*() {
          const file = join(privateDirectory, "plan")
          writeFileSync(file, Buffer.alloc(size))
          const { storePlan } = yield* TaskApi
          const fiber = yield* Effect.forkChild(storePlan(file, "a".repeat(64)))
          for (let steps = 1; steps <= size / step; steps++) {
            yield* until(() => received >= steps * step)
            yield* TestClock.adjust("55 seconds")
            expect(fiber.pollUnsafe()).toBeUndefined()
            goOn()
          }
          yield* Fiber.join(fiber)
          expect([received, requests]).toEqual([size, 1])
        }).pipe(Effect.provide(Layer.provide(Layer.orDie(TaskApi.layer(url, taskUid)), layer))), "5 minutes")
    }))

  it.live.each(["a page", "a document"] as const)(
    "takes %s of something before the server for no answer, whatever was asked",
    (fault) =>
      withTaskApi(Effect.fnUntraced(function*(taskApi, { api }) {
        const lock = yield* taskApi.lockState({ ID: "a" })
        const state = Buffer.from(`{"serial":1}`)
        const asked = {
          "POST /state": taskApi.pushState(state, sha256(state), lock),
          "GET /state": taskApi.state,
          "POST /kept-state": taskApi.takeKeptState(state),
          "POST /state/lock": taskApi.lockState({ ID: "a" }),
          "POST /state/unlock": taskApi.unlockState({ ID: "a" }),
          "POST /log": taskApi.appendLog(0, Buffer.from("one")),
          "POST /effects": taskApi.appendEffects([{ number: 1, kind: "done", action: "create", address: "a.b" }]),
          "POST /result": taskApi.tellResult(result)
        }
        for (const [request, ask] of Object.entries(asked)) {
          api.fault(request, fault)
          expect([request, (yield* Effect.flip(Effect.asVoid<unknown, TaskApiError, never>(ask)))._tag]).toEqual([request, "NoAnswer"])
        }
        expect([api.state, api.results, api.log.length]).toEqual([undefined, [], 0])
      }))
  )

  it.live.each(["a page", "a document"] as const)(
    "asks again after %s of something before the server",
    (fault) =>
      withTaskApi(Effect.fnUntraced(function*({ details, download, storePlan }, { api, privateDirectory }) {
        const file = join(privateDirectory, "archive")
        api.archive = Buffer.alloc(300_000, 5)
        for (const request of ["GET /assignment", "GET /archive", "PUT /plan"]) api.fault(request, fault)
        expect((yield* details).id).toBe("run-a.plan.1")
        yield* download("archive", file, sha256(api.archive))
        yield* storePlan(file, sha256(api.archive))
        expect([readFileSync(file), api.plan]).toEqual([api.archive, api.archive])
      }))
  )

  it.live("takes a state for no answer whose bytes are not those of its digest", () =>
    withTaskApi(Effect.fnUntraced(function*({ state }, { api }) {
      api.fault("GET /state", "another state")
      expect((yield* Effect.flip(state)).message).toContain("it answers a state of another digest than it says")
    })))

  it.live("says that both want the same version when the answer stays one that it does not understand", () =>
    withTaskApi(
      Effect.fnUntraced(function*({ details }, { api }) {
        api.fault("GET /assignment", ...Array.from({ length: 20 }, () => "a document" as const))
        expect((yield* Effect.flip(details)).message).toMatch(/give both the same version/u)
      }),
      "1 second"
    ))

  it.live("takes the true end of the log from a refusal", () =>
    withTaskApi(Effect.fnUntraced(function*({ appendLog }, { api }) {
      expect(yield* appendLog(0, Buffer.from("one"))).toEqual({ _tag: "StoredUpTo", end: 3 })
      expect(yield* appendLog(10, Buffer.from("two"))).toEqual({ _tag: "StoredUpTo", end: 3 })
      expect(yield* appendLog(0, Buffer.from("one"))).toEqual({ _tag: "StoredUpTo", end: 3 })
      api.fault("POST /log", { status: 409, error: "wrong-stage" })
      expect(yield* appendLog(3, Buffer.from("two"))).toEqual({ _tag: "Refused" })
    })))

  it.live("has the whole log and journal arrive when their token is renewed, however late", () =>
    withTaskApi(Effect.fnUntraced(function*({ appendEffects, appendLog }, { api, tokenFile }) {
      const log = Context.get(
        yield* Layer.build(Log.layer({ secrets: [], parts: [], ship: Option.some(appendLog), print: () => Effect.void })),
        Log
      )
      const journal = yield* makeJournal(log, Option.some(appendEffects))
      const tell = (address: string) =>
        Effect.andThen(log.line(address), Effect.sync(() => journal.add({ kind: "done", action: "create", address })))
      writeFileSync(tokenFile, "a token that the server does not know")
      yield* tell("a.b")
      expect(yield* journal.flush("1500 millis")).toBe(false)
      writeFileSync(tokenFile, api.token)
      yield* tell("a.c")
      expect(yield* journal.flush("30 seconds")).toBe(true)
      yield* log.flush("30 seconds")
      expect([Buffer.from(api.log).toString(), api.journal.map(({ address }) => address)]).toEqual(["a.b\na.c\n", ["a.b", "a.c"]])
    }, Effect.scoped)))

  it.live("calls a log or a journal not refused while its token is, since the token may be renewed", () =>
    withTaskApi(Effect.fnUntraced(function*({ appendEffects, appendLog }, { api, tokenFile }) {
      writeFileSync(tokenFile, "a token that the server does not know")
      const entry = { number: 1, kind: "done", action: "create", address: "a.b" } as const
      expect(yield* Effect.flip(appendLog(0, Buffer.from("one")))).toMatchObject({ _tag: "TokenRefused", status: 401 })
      expect(yield* Effect.flip(appendEffects([entry]))).toMatchObject({ _tag: "TokenRefused", status: 401 })
      writeFileSync(tokenFile, api.token)
      expect(yield* appendLog(0, Buffer.from("one"))).toEqual({ _tag: "StoredUpTo", end: 3 })
      expect(yield* appendEffects([entry])).toEqual({ _tag: "StoredUpTo", end: 1 })
    })))

  it.live("tells the result", () =>
    withTaskApi(Effect.fnUntraced(function*({ tellResult }, { api }) {
      yield* tellResult(result)
      expect(api.results).toEqual([result])
    })))

  it.live("has no state before the first one", () =>
    withTaskApi(Effect.fnUntraced(function*({ state }) {
      expect(yield* state).toEqual(Option.none())
    })))

  it.live("sends its token to no other server, not even when asked to", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const serve = (headers: Readonly<Record<string, string>>) =>
        Effect.acquireRelease(
          Effect.callback<number>((resume) => {
            const server = createServer((request, response) => {
              asked.push(`${request.headers.host} ${request.headers.authorization ?? ""}`)
              response.writeHead(307, headers).end()
            }).listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
            servers.push(server)
          }),
          () => Effect.sync(() => servers.forEach((server) => (server.close(), server.closeAllConnections())))
        )
      const servers: Array<ReturnType<typeof createServer>> = []
      const elsewhere = yield* serve({})
      const here = yield* serve({ location: `http://127.0.0.1:${elsewhere}/api/task/v1/assignment` })
      yield* withTaskApi((_, { layer }) =>
        Effect.gen(function*() {
          const settings = yield* Settings
          const taskApi = yield* TaskApi
          expect(yield* Effect.flip(taskApi.details)).toMatchObject({ reason: "PoolUnreachable", message: expect.stringContaining("307") })
          expect(settings.namespace).toBe("tasks")
        }).pipe(Effect.provide(Layer.provide(Layer.orDie(TaskApi.layer(`http://127.0.0.1:${here}`, taskUid)), layer))), "1 second")
      expect([asked.length > 0, asked.filter((request) => !request.startsWith(`127.0.0.1:${here} Bearer`))]).toEqual([true, []])
    }))

  it.effect.each(["ftp://example.com", "no url", ""])(
    "refuses %s as a server",
    (url) =>
      withTaskApi((_, { layer }) =>
        Effect.gen(function*() {
          expect(yield* Effect.flip(Layer.build(TaskApi.layer(url, taskUid)).pipe(Effect.provide(layer), Effect.scoped))).toMatchObject({
            reason: "InvalidConfiguration",
            message: expect.stringContaining("pool.url")
          })
        })
      )
  )
})

describe("what an answer means", () => {
  const problem = (error: string) => JSON.stringify({ error, message: "No." })
  it.each([
    { given: "the server's own refusal of the token", status: 401, text: problem("unauthorized"), tag: "TokenRefused" },
    { given: "a stage that is another's", status: 409, text: problem("taken"), tag: "TokenRefused" },
    { given: "401 of something before the server", status: 401, text: "<html>", tag: "NoAnswer" },
    { given: "403 of something before the server", status: 403, text: "", tag: "NoAnswer" },
    { given: "404 of something before the server", status: 404, text: "not found", tag: "NoAnswer" },
    {
      given: "404 of a gateway that answers in JSON",
      status: 404,
      text: JSON.stringify({ statusCode: 404, error: "Not Found", message: "Route POST:/api/task/v1/state not found" }),
      tag: "NoAnswer"
    },
    {
      given: "413 of a gateway that answers in JSON",
      status: 413,
      text: JSON.stringify({ statusCode: 413, error: "Payload Too Large", message: "Request body is too large" }),
      tag: "NoAnswer"
    },
    { given: "a refusal that only a newer server has", status: 409, text: problem("not-yet-known"), tag: "Declined" },
    { given: "too many requests", status: 429, text: problem("too-many-requests"), tag: "NoAnswer" },
    { given: "a redirect, whoever says it", status: 307, text: problem("moved"), tag: "NoAnswer" },
    { given: "a success that is not the server's", status: 202, text: problem("accepted"), tag: "NoAnswer" },
    { given: "a request that did not arrive in time", status: 408, text: problem("request-timeout"), tag: "NoAnswer" },
    { given: "a request that broke off", status: 400, text: problem("bad-request"), tag: "NoAnswer" },
    { given: "a body that is too large", status: 413, text: problem("too-large"), tag: "Declined" },
    { given: "the server's own no", status: 409, text: problem("locked"), tag: "Declined" }
  ])("$given: $tag", ({ status, tag, text }) => expect(refusalOf("http://server", status, text)._tag).toBe(tag))

  it.each([
    {
      given: "a server whose disk is full",
      status: 503,
      text: JSON.stringify({ error: "storage", message: "The disk is full." }),
      says: "The disk is full."
    },
    {
      given: "too many requests",
      status: 429,
      text: JSON.stringify({ error: "too-many-requests", message: "Repeat it in 3 s." }),
      says: "Repeat it in 3 s."
    },
    {
      given: "a token that the server does not accept",
      status: 401,
      text: JSON.stringify({ error: "unauthorized", message: "No." }),
      says:
        "The pool's server refuses the token of this stage (401): the stage is over there, or the server does not know the token; see: agent-job get RUN"
    },
    ...["<html><center><h1>413 Request Entity Too Large</h1></center>", JSON.stringify({ error: "Payload Too Large", message: "No." })].map(
      (text) => ({
        given: `a body that a proxy does not take, ${text.slice(0, 6)}`,
        status: 413,
        text,
        says:
          "Something before the pool's server takes no body of this size (it answers 413); raise its limit to 256 MiB (nginx: client_max_body_size 256m)."
      })
    ),
    {
      given: "a proxy without a server",
      status: 502,
      text: "<html>",
      says:
        "The pool's server at http://server gave no usable answer (it answers 502); check that it answers there, and the network: a task asks the address that agent.url had when it was made, whatever the values say now."
    }
  ])("$given is told as: $says", ({ says, status, text }) => expect(refusalOf("http://server", status, text).message).toBe(says))
})

// Alone, since a collection of garbage, which the others bring on, frees connections too.
it.live("keeps no connection to something before the server, however much it sends", () =>
  withTaskApi(Effect.fnUntraced(function*({ appendLog, state }, { api }) {
    const pages = Array.from({ length: 17 }, () => "a large page" as const) // a worker has 16 connections
    api.fault("GET /state", ...pages)
    for (const _ of pages) expect((yield* Effect.flip(state).pipe(Effect.timeout("20 seconds"))).message).toContain("it answers 200")
    yield* appendLog(0, Buffer.from("one"))
    expect(api.log.toString()).toBe("one")
  })))
