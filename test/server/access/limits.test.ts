// The limits on what one caller may ask for, each tested around its value, and which callers a limit does not touch.
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Option } from "effect"
import type { HttpServerRequest } from "effect/http"
import { once } from "node:events"
import { readdirSync } from "node:fs"
import { type IncomingMessage, request as call } from "node:http"
import { join } from "node:path"
import { runPath } from "../../../src/schema/api/run.ts"
import { taskHeader, taskPath } from "../../../src/schema/api/task-api.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { Rooms } from "../../../src/server/access/bodies.ts"
import { AtOnce, Limits, Rates } from "../../../src/server/access/limits.ts"
import { fullBucket, type Rate, take } from "../../../src/server/access/token-bucket.ts"
import { Waiters } from "../../../src/server/store/commits.ts"
import { until } from "../../until.ts"
import {
  agent,
  archiveOf,
  ask,
  directory,
  failed,
  person,
  planWith,
  poolToken,
  readToken,
  serve,
  server,
  sha256,
  taskUid,
  userToken,
  worker
} from "../live-server.ts"
import { unreadOf, untilRefused } from "../unread.ts"

const mebibyte = 1024 * 1024
const few: Rate = { perSecond: 0.1, burst: 3 }
const many: Rate = { perSecond: 1000, burst: 5000 }
const withRates = (rates: Partial<typeof Rates.Service>) =>
  server.pipe(Effect.provideService(Rates, { user: many, pool: many, task: many, link: many, follower: many, address: many, ...rates }))

const statuses = (count: number, once: Effect.Effect<{ readonly status: number }>) =>
  Effect.map(Effect.forEach(Array.from({ length: count }), () => once), (answers) => answers.map(({ status }) => status))

/** Follows a log `count` times at once, one time too many: one request is answered first, the others when the log goes on. */
const oneTooMany = Effect.fnUntraced(function*(log: string, count: number) {
  const follow = ask(`${log}?offset=1&wait=60`, undefined)
  const all = yield* Effect.forEach(Array.from({ length: count }), () => Effect.forkChild(follow))
  const first = yield* Effect.raceAll(all.map(Fiber.join))
  return { first, answers: Effect.forEach(all, Fiber.join) }
})

describe("a limit of requests", () => {
  it.live("of one token answers 429 with the time to come again, in the form of the API, and touches no other token", () =>
    Effect.gen(function*() {
      const url = yield* withRates({ user: few })
      expect(yield* statuses(3, ask(`${url}/api/v2/ping`, userToken))).toEqual([204, 204, 204])
      const [own, tfe] = [yield* ask(`${url}/api/agent-job/v1/runs`, userToken), yield* ask(`${url}/api/v2/ping`, userToken)]
      expect([own.status, tfe.status]).toEqual([429, 429])
      const seconds = Number(own.headers.get("retry-after"))
      expect(seconds).toBeGreaterThan(5) // ten, less the time that has passed
      expect(seconds).toBeLessThanOrEqual(10)
      for (const { headers } of [own, tfe]) expect(headers.get("x-ratelimit-reset")).toBe(headers.get("retry-after")) // what stock clients read
      expect(own.json).toEqual({
        error: "too-many-requests",
        message: `There are too many requests of this token; repeat it in ${seconds} s.`
      })
      expect(tfe.json.errors[0]).toMatchObject({ status: "429" })
      expect(yield* statuses(10, agent(url).post("/api/pool/v1/acquire", { agent: "a", waitSeconds: 0, max: 1 }))).toEqual(
        Array.from({ length: 10 }, () => 200)
      )
    }))

  it.live("of an address without a valid token touches nobody with one, and neither health nor where clients look first", () =>
    Effect.gen(function*() {
      const url = yield* withRates({ address: few })
      expect(yield* statuses(4, ask(`${url}/api/v2/ping`, "a wrong token"))).toEqual([401, 401, 401, 429])
      expect(yield* statuses(2, ask(`${url}/api/pool/v1/acquire`, undefined, "POST", {}))).toEqual([429, 429])
      expect(yield* statuses(5, ask(`${url}/api/v2/ping`, userToken))).toEqual([204, 204, 204, 204, 204])
      for (const path of ["/healthz", tfePath.discovery]) {
        expect(yield* statuses(5, ask(url + path, undefined))).toEqual([200, 200, 200, 200, 200])
      }
    }))

  it.live("of an address touches no task that has a valid token and is refused: each request of it is that stage's", () =>
    Effect.gen(function*() {
      const url = yield* withRates({ address: few, task: few })
      yield* person(url).start("demo")
      const stage = yield* agent(url).take
      expect(yield* statuses(4, ask(`${url}/api/v2/ping`, "a wrong token"))).toEqual([401, 401, 401, 429])
      const other = worker(url, stage, "task-uid-2").as("GET", taskPath.assignment)
      const nameless = ask(url + taskPath.assignment, stage.taskToken)
      expect(yield* statuses(2, other)).toEqual([409, 409])
      expect((yield* nameless).status).toBe(422)
      expect(yield* statuses(2, other)).toEqual([429, 429])
    }))

  it.live("of an address without a valid token is that of a token whose stage is over", () =>
    Effect.gen(function*() {
      const url = yield* withRates({ address: few })
      yield* person(url).start("demo")
      const { as, result } = worker(url, yield* agent(url).take)
      yield* result(failed())
      expect(yield* statuses(4, as("GET", taskPath.assignment))).toEqual([401, 401, 401, 429])
    }))

  it.effect("remembers no more than the 20,000 that asked last", () =>
    Effect.gen(function*() {
      const limits = yield* Limits
      const asks = (name: string) =>
        Effect.exit(limits.admit(Option.none(), { remoteAddress: Option.some(name) } as HttpServerRequest.HttpServerRequest))
      for (let time = 0; time < 3; time++) yield* asks("first")
      expect(Exit.isFailure(yield* asks("first"))).toBe(true)
      for (let number = 0; number < 20_000; number++) yield* asks(`${number}`)
      expect(Exit.isSuccess(yield* asks("first"))).toBe(true)
    }).pipe(
      Effect.provide(Limits.layer),
      Effect.provideService(Rates, { user: few, pool: few, task: few, link: few, follower: few, address: few })
    ))

  it.live("of one stage is not that of another", () =>
    Effect.gen(function*() {
      const url = yield* withRates({ task: few })
      yield* person(url).start("demo")
      yield* person(url).start("other")
      const [one, two] = yield* agent(url).acquire()
      if (one === undefined || two === undefined) throw new Error("expected two assignments")
      const ask = (stage: typeof one) => worker(url, stage).as("GET", taskPath.assignment)
      expect(yield* statuses(4, ask(one))).toEqual([200, 200, 200, 429])
      expect(yield* statuses(1, ask(two))).toEqual([200])
    }))

  it.live("of strangers is not that of those who were given a link, and each link has its own", () =>
    Effect.gen(function*() {
      const url = yield* withRates({ address: few, link: few })
      const logOf = (workspace: string) =>
        Effect.map(Effect.flatMap(person(url).start(workspace), person(url).view), ({ stages }) => stages[0]!.logUrl)
      const [log, next] = [yield* logOf("demo"), yield* logOf("other")]
      expect(yield* statuses(4, ask(log.replace(/.$/u, "!"), undefined))).toEqual([404, 404, 404, 429])
      expect(yield* statuses(4, ask(log, undefined))).toEqual([200, 200, 200, 429])
      expect(yield* statuses(1, ask(next, undefined))).toEqual([200])
    }))

  it.live("of those who follow a link, and say how long they wait, is not that of stock clients", () =>
    Effect.gen(function*() {
      const url = yield* withRates({ follower: few })
      const { stages: [stage] } = yield* Effect.flatMap(person(url).start("demo"), person(url).view)
      const log = stage?.logUrl ?? ""
      expect(yield* statuses(2, ask(`${log}?wait=1`, undefined))).toEqual([200, 200])
      expect(yield* statuses(2, ask(`${log}?wait=0`, undefined))).toEqual([200, 429])
      expect(yield* statuses(4, ask(log, undefined))).toEqual([200, 200, 200, 200])
    }))

  it.effect("by default lets a stock client read the longest log, 64 MiB in pieces of 3 KiB, though each takes but a millisecond", () =>
    Effect.map(Rates, ({ link }) => {
      let bucket = fullBucket(link, 0)
      for (let read = 0; read < 64 * 1024 / 3; read++) {
        const taken = take(bucket, link, read)
        expect(taken.waitSeconds, `after ${read} pieces`).toBe(0)
        bucket = taken.bucket
      }
    }))

  it.live("by default lets an agent and a worker do in a second what they do in a minute", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo")
      const assignment = yield* agent(url).take
      let offset = 0
      const line = Effect.suspend(() => worker(url, assignment).log(offset++, "."))
      expect(new Set(yield* statuses(300, line))).toEqual(new Set([200]))
      expect(new Set(yield* statuses(200, agent(url).post("/api/pool/v1/acquire", { agent: "a", waitSeconds: 0, max: 1 })))).toEqual(
        new Set([200])
      )
    }))
})

describe("a limit of what one caller asks at once", () => {
  it.live("refuses the one too many that follows a link, and not those of another or of a token, nor one that only reads", () =>
    Effect.gen(function*() {
      const url = yield* server.pipe(Effect.provideService(AtOnce, { user: 1, pool: 1, task: 1, link: 1, follower: 2 }))
      const logOf = (workspace: string) =>
        Effect.map(Effect.flatMap(person(url).start(workspace), person(url).view), ({ stages }) => stages[0]!.logUrl)
      const [log, other] = [yield* logOf("demo"), yield* logOf("other")]
      const [stage] = yield* agent(url).acquire(0, 1)
      if (stage === undefined) throw new Error("expected an assignment")
      const { answers, first } = yield* oneTooMany(log, 3)
      expect([first.status, first.headers.get("retry-after")]).toEqual([429, "5"])
      expect((yield* ask(other, undefined)).status).toBe(200)
      expect((yield* ask(log, undefined)).status).toBe(200)
      expect((yield* agent(url).post("/api/pool/v1/cancellations", { after: 0, waitSeconds: 0 })).status).toBe(200)
      yield* worker(url, stage).log(0, "what they wait for")
      expect((yield* answers).map(({ status }) => status).sort()).toEqual([200, 200, 429])
      expect((yield* ask(log, undefined)).status).toBe(200)
    }))

  it.live("counts a state until its client has taken it, and then no more", () =>
    Effect.gen(function*() {
      const url = yield* server.pipe(Effect.provideService(AtOnce, { user: 500, pool: 500, task: 1, link: 500, follower: 500 }))
      yield* person(url).start("demo", { "auto-apply": true })
      yield* planWith(url)
      const apply = yield* agent(url).take
      const { lock, pushState } = worker(url, apply)
      const { epoch } = (yield* lock("l")).json
      const state = { version: 4, serial: 1, lineage: "l", fill: "x".repeat(30 * 1024 * 1024) }
      expect((yield* pushState(state, "l", epoch)).status).toBe(204)
      const asked = call(url + taskPath.state, { headers: { authorization: `Bearer ${apply.taskToken}`, [taskHeader.taskUid]: taskUid } })
        .end()
      const [response]: Array<IncomingMessage> = yield* Effect.promise(() => once(asked, "response"))
      expect((yield* worker(url, apply).as("GET", taskPath.assignment)).status).toBe(429)
      const taken = yield* Effect.promise(() => response!.toArray())
      expect(sha256(Buffer.concat(taken))).toBe(response!.headers[taskHeader.digest])
      yield* Effect.repeat(worker(url, apply).as("GET", taskPath.assignment), { until: ({ status }) => status === 200 }).pipe(
        Effect.timeout("5 minutes")
      )
    }))
})

describe("a limit of what one caller asks at once, of small answers,", () =>
  it.live(
    "counts a piece of a log as long as it lies in memory, since its client reads nothing, and then no more",
    () =>
      Effect.gen(function*() {
        const url = yield* server.pipe(Effect.provideService(AtOnce, { user: 500, pool: 500, task: 500, link: 500, follower: 1 }))
        const { stages: [stage] } = yield* Effect.flatMap(person(url).start("demo"), person(url).view)
        const log = `${stage?.logUrl}?wait=0`
        yield* worker(url, yield* agent(url).take).log(0, "x".repeat(64 * 1024))
        const unread = yield* unreadOf(url)
        yield* untilRefused(unread, log, undefined, 429)
        unread.resume()
        yield* Effect.repeat(ask(log, undefined), { until: ({ status }) => status === 200 }).pipe(Effect.timeout("5 minutes"))
      })
  ))

describe("a limit of large answers that are not read", () => {
  it.live("counts whatever a look is answered with, and nothing that tells what was done", () =>
    Effect.gen(function*() {
      const rooms = yield* Rooms
      const other = { ...rooms.answers.other, ofCaller: { task: 0, other: mebibyte } }
      const answers = { ...rooms.answers, other }
      const url = yield* server.pipe(Effect.provideService(Rooms, { ...rooms, answers }))
      const me = person(url)
      const variables = tfePath.variables(yield* me.workspace("demo"))
      const set = (key: string) => me.as("POST", variables, { data: { attributes: { key, value: "x".repeat(64 * 1024) } } })
      for (let n = 0; n < 15; n++) yield* set(`n${n}`)
      const unread = yield* unreadOf(url)
      yield* untilRefused(unread, url + variables, userToken, 503)
      expect((yield* set("n15")).status).toBe(201)
      unread.resume()
      yield* Effect.repeat(me.as("GET", variables), { until: ({ status }) => status === 200 }).pipe(Effect.timeout("5 minutes"))
    }))
})

describe("what one caller looks at", () => {
  it.live("is answered one after the other, and whoever asks meanwhile is answered in between", () =>
    Effect.gen(function*() {
      const url = yield* server
      const heard: Array<string> = []
      const opened = Effect.fnUntraced(function*(token: string) {
        const socket = yield* unreadOf(url)
        yield* Effect.promise(() => once(socket, "connect"))
        socket.on("data", () => heard.push(token)).resume()
        return () => socket.write(`GET ${runPath.list} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${token}\r\n\r\n`)
      })
      const asks = yield* Effect.forEach([...Array<string>(20).fill(userToken), readToken], opened)
      for (const asked of asks) asked()
      yield* until(() => heard.length === asks.length)
      expect(heard.indexOf(readToken)).toBeLessThan(10)
    }))
})

describe("a limit of waiting polls", () => {
  it.live("refuses the one too many and takes it when another is over", () =>
    Effect.gen(function*() {
      const url = yield* server.pipe(Effect.provideService(Waiters, { agents: 3, logs: 0 }))
      const poll = ask(`${url}/api/pool/v1/acquire`, poolToken, "POST", { agent: "a", waitSeconds: 2, max: 1 })
      const answers = yield* Effect.forEach([1, 2, 3, 4], () => poll, { concurrency: "unbounded" })
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 429])
      expect(answers.find(({ status }) => status === 429)?.headers.get("retry-after")).toBe("5")
      expect((yield* poll).status).toBe(200)
    }))

  it.live("of those who follow logs is not that of agents, and who follows one beyond it gets what there is", () =>
    Effect.gen(function*() {
      const url = yield* server.pipe(Effect.provideService(Waiters, { agents: 1, logs: 1 }))
      const { stages: [stage] } = yield* Effect.flatMap(person(url).start("demo"), person(url).view)
      const assignment = yield* agent(url).take
      const log = stage?.logUrl ?? ""
      const { answers, first } = yield* oneTooMany(log, 2)
      expect([first.status, first.text]).toEqual([200, ""])
      expect((yield* ask(`${log}?wait=60`, undefined)).text).toBe("\x02")
      expect((yield* agent(url).post("/api/pool/v1/acquire", { agent: "a", waitSeconds: 1, max: 1 })).status).toBe(200)
      yield* worker(url, assignment).log(0, "what they wait for")
      expect((yield* answers).map(({ text }) => text).sort()).toEqual(["", "what they wait for"])
    }))
})

describe("a body", () => {
  const request = (fill: number) => JSON.stringify({ data: { attributes: { name: "demo" } }, fill: "x".repeat(fill) })
  const empty = request(0).length
  const mebibyte = 1024 * 1024

  it.live.each([
    { bytes: mebibyte - 1, status: 201 },
    { bytes: mebibyte, status: 201 },
    { bytes: mebibyte + 1, status: 413 },
    { bytes: 8 * mebibyte, status: 413 }
  ])("of $bytes bytes of JSON gives $status", ({ bytes, status }) =>
    Effect.gen(function*() {
      const url = yield* server
      expect((yield* ask(url + tfePath.workspaces("default"), userToken, "POST", request(bytes - empty))).status).toBe(status)
    }))

  it.live.each([
    { levels: 63, status: 201 },
    { levels: 64, status: 201 },
    { levels: 65, status: 422 },
    { levels: 200_000, status: 422 }
  ])("of $levels levels of JSON gives $status", ({ levels, status }) =>
    Effect.gen(function*() {
      const url = yield* server
      const deep = `{"data":{"attributes":{"name":"demo"}},"deep":${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}}`
      expect((yield* ask(url + tfePath.workspaces("default"), userToken, "POST", deep)).status).toBe(status)
    }))

  it.live("that is a state is no deeper than its outputs can be printed", () =>
    Effect.gen(function*() {
      const url = yield* server
      const address = `${url}/api/state/v1/workspaces/demo`
      const state = (levels: number) =>
        `{"version":4,"serial":${levels},"lineage":"l","outputs":{"o":{"type":"string","value":${"[".repeat(levels - 3)}${
          "]".repeat(levels - 3)
        }}}}`
      yield* ask(address, userToken, "PUT", { ID: "a" })
      expect((yield* ask(`${address}?ID=a`, userToken, "POST", state(500))).status).toBe(204)
      expect((yield* ask(`${address}?ID=a`, userToken, "POST", state(501))).status).toBe(422)
      expect((yield* ask(`${address}?ID=a`, userToken, "POST", state(100_000))).status).toBe(422)
      const id = yield* person(url).workspace("demo")
      expect((yield* ask(url + tfePath.outputs(id), userToken)).status).toBe(200)
    }))
})

describe("states that come at once", () => {
  const mebibyte = 1024 * 1024
  const ofCaller = { task: 40 * mebibyte, other: 40 * mebibyte }
  /** Rooms for states, of which each caller may have all. */
  const rooms = (wait: Duration.Duration) => {
    const slowly = { ofCaller, wait, arrival: Duration.minutes(1) }
    return { smallStates: { ...slowly, upTo: mebibyte, all: 2 * mebibyte }, largeStates: { ...slowly, all: 40 * mebibyte } }
  }
  type OfStates = ReturnType<typeof rooms>
  const serverWith = (ofStates: OfStates) =>
    Effect.flatMap(Rooms, (usual) => Effect.provideService(server, Rooms, { ...usual, ...ofStates }))
  const stateOf = (url: string) => `${url}/api/state/v1/workspaces/demo`

  /**
   * A push of 16 MiB without its last byte. `isRead` tells whether the server reads it, because a socket takes only a few MiB that nobody
   * reads.
   */
  const stopping = (url: string) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const sent = call(`${stateOf(url)}?ID=a`, {
          method: "POST",
          headers: { authorization: `Bearer ${userToken}`, "content-length": 16 * mebibyte }
        })
        const answered = once(sent, "response").then(([response]: Array<IncomingMessage>) => response?.resume(), () => undefined)
        sent.on("error", () => undefined) // the connection was closed
        sent.write(Buffer.alloc(16 * mebibyte - 1, " "))
        return { sent, answered, isRead: () => sent.writableLength === 0 }
      }),
      ({ sent }) => Effect.sync(() => sent.destroy())
    )

  /** A push that announces `bytes` bytes and sends one every 50 ms. */
  const trickle = (url: string, bytes: number) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const sent = call(`${stateOf(url)}?ID=a`, {
          method: "POST",
          headers: { authorization: `Bearer ${userToken}`, "content-length": bytes }
        })
        let written = 0
        const trickling = setInterval(() => {
          sent.write(" ")
          written++
        }, 50)
        const answered = once(sent, "response").then(
          async ([response]: Array<IncomingMessage>) => ({
            status: response?.statusCode,
            text: (await response?.setEncoding("utf8").toArray() ?? []).join("")
          }),
          () => ({ status: undefined, text: "{}" })
        )
        sent.on("error", () => undefined) // the connection was closed
        return { sent, trickling, told: Effect.promise(() => answered), hasBegun: () => written > 3 }
      }),
      ({ sent, trickling }) =>
        Effect.sync(() => {
          clearInterval(trickling)
          sent.destroy()
        })
    )

  it.live("are read only as there is room for them, a small one has its own, and who hangs up leaves theirs", () =>
    Effect.gen(function*() {
      const url = yield* serverWith(rooms(Duration.minutes(1)))
      yield* ask(stateOf(url), userToken, "PUT", { ID: "a" })
      const pushes = yield* Effect.forEach([1, 2, 3, 4, 5], () => stopping(url))
      const read = () => pushes.filter(({ isRead }) => isRead())
      yield* until(() => read().length >= 2)
      yield* Effect.sleep("500 millis")
      const first = read()
      expect(first).toHaveLength(2)
      expect((yield* ask(`${stateOf(url)}?ID=a`, userToken, "POST", { version: 4, serial: 1, lineage: "l" })).status).toBe(204)
      for (const { sent } of first) sent.destroy()
      yield* until(() => read().filter((push) => !first.includes(push)).length >= 2)
      expect((yield* ask(`${stateOf(url)}?ID=a`, userToken, "POST", { version: 4, serial: 2, lineage: "l" })).status).toBe(204)
    }))

  it.live.each([
    { size: "small", bytes: mebibyte },
    { size: "large", bytes: 16 * mebibyte }
  ])(
    "and are $size, of which one task and one user's token have their parts, leave the rest to others, who send nothing or not",
    ({ bytes }) =>
      Effect.gen(function*() {
        const { largeStates, smallStates } = rooms(Duration.seconds(1))
        const url = yield* serverWith({
          smallStates: { ...smallStates, all: 3 * mebibyte, ofCaller: { task: mebibyte, other: mebibyte } },
          largeStates: { ...largeStates, all: 48 * mebibyte, ofCaller: { task: 16 * mebibyte, other: 20 * mebibyte } }
        })
        yield* person(url).start("demo", { "auto-apply": true })
        yield* planWith(url)
        const apply = yield* agent(url).take
        const open = (path: string, token: string) =>
          Effect.acquireRelease(
            Effect.sync(() => {
              const headers = { authorization: `Bearer ${token}`, [taskHeader.taskUid]: taskUid, "content-length": bytes }
              const sent = call(url + path, { method: "POST", headers }).on("error", () => undefined)
              const answered = once(sent, "response").then(
                ([response]: Array<IncomingMessage>) => response?.resume().statusCode,
                () => undefined
              )
              sent.flushHeaders()
              return { sent, answered }
            }),
            ({ sent }) => Effect.sync(() => sent.destroy())
          )
        const sending = [
          ...(yield* Effect.forEach([1, 2, 3, 4], () => open(taskPath.state, apply.taskToken))),
          ...(yield* Effect.forEach([1, 2, 3, 4], () => open("/api/state/v1/workspaces/demo?ID=a", userToken)))
        ]
        const told = yield* Effect.promise(() => Promise.race(sending.map(({ answered }) => answered)))
        expect(told).toBe(503)
        // One push of the task and one of the user still hold their room, and there is room for a third.
        yield* person(url).start("other", { "auto-apply": true })
        yield* planWith(url)
        const other = yield* agent(url).take
        yield* worker(url, other).lock("b")
        const state = JSON.stringify({ version: 4, serial: 1, lineage: "l" }).padEnd(bytes)
        const headers = { [taskHeader.lockId]: "b", [taskHeader.lockEpoch]: "1" }
        expect((yield* worker(url, other).as("POST", taskPath.state, state, headers)).status).toBe(204)
      })
  )

  it.live("and get no room in time are told when to come again, and those that are too large at once that they are", () =>
    Effect.gen(function*() {
      const url = yield* serverWith(rooms(Duration.millis(300)))
      yield* ask(stateOf(url), userToken, "PUT", { ID: "a" })
      const pushes = yield* Effect.forEach([1, 2, 3], () => stopping(url))
      const told = yield* Effect.promise(() => Promise.race(pushes.map(({ answered }) => answered)))
      expect([told?.statusCode, told?.headers["retry-after"]]).toEqual([503, "5"])
      expect((yield* ask(`${stateOf(url)}?ID=a`, userToken, "POST", Buffer.alloc(65 * mebibyte))).status).toBe(413)
    }))

  it.live.each(
    [
      { size: "a small one", bytes: 2 * mebibyte, small: "3 seconds", large: "1 minute" },
      { size: "a large one", bytes: 3 * mebibyte, small: "1 minute", large: "3 seconds" }
    ] as const
  )(
    "and do not arrive in time leave their room to others, which for $size is a time of its own",
    ({ bytes, large, small }) =>
      Effect.gen(function*() {
        const { largeStates, smallStates } = rooms(Duration.seconds(20))
        const url = yield* serverWith({
          smallStates: { ...smallStates, upTo: 2 * mebibyte, arrival: Duration.fromInputUnsafe(small) },
          largeStates: { ...largeStates, all: 3 * mebibyte, arrival: Duration.fromInputUnsafe(large) }
        })
        yield* ask(stateOf(url), userToken, "PUT", { ID: "a" })
        const trickling = yield* trickle(url, bytes)
        yield* until(() => trickling.hasBegun())
        const whole = JSON.stringify({ version: 4, serial: 1, lineage: "l" }).padEnd(bytes)
        expect((yield* ask(`${stateOf(url)}?ID=a`, userToken, "POST", whole)).status).toBe(204)
        const told = yield* trickling.told
        expect([told.status, JSON.parse(told.text).error]).toEqual([408, "request-timeout"])
      })
  )
})

describe("an address", () => {
  const climbing = [
    "..",
    "../..",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cetc",
    "%252e%252e%252f",
    "....//",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "demo%00",
    "demo%0d%0aset-cookie:%20a=b",
    "a".repeat(91),
    ".",
    "-demo",
    "demo/../demo",
    "C:%5c",
    "%c0%ae%c0%ae%2f",
    "%ff",
    "agent-job.sqlite",
    "../path.key",
    "blobs"
  ]

  /** Asks for the path exactly as it is written; fetch would normalise it. */
  const raw = (url: string, path: string, method = "GET") =>
    Effect.promise(async () => {
      const request = call(url, { path, method, headers: { authorization: `Bearer ${userToken}`, "content-type": "application/json" } })
      request.end(method === "GET" ? undefined : JSON.stringify({ ID: "a" }))
      const [response] = await once(request, "response") as [IncomingMessage]
      response.setEncoding("utf8")
      return { status: response.statusCode, text: (await response.toArray()).join("") }
    })

  it.live("leads to nothing but what it names, and makes nothing, however it climbs", () =>
    Effect.gen(function*() {
      const url = yield* server
      const paths = climbing.flatMap((
        name
      ) => [
        `/api/state/v1/workspaces/${name}`,
        `/api/v2/runs/${name}`,
        `/api/v2/state-versions/${name}/download`,
        `/api/v2/organizations/default/workspaces/${name}`
      ])
      for (const path of paths) {
        expect([path, yield* raw(url, path)]).toEqual([path, { status: 404, text: expect.stringMatching(/not.found/u) }])
      }
      for (const name of climbing.filter((name) => !["agent-job.sqlite", "blobs"].includes(name))) {
        const { status } = yield* raw(url, `/api/state/v1/workspaces/${name}`, "PUT")
        expect([name, [404, 422].includes(status ?? 0)]).toEqual([name, true])
      }
      expect((yield* ask(url + tfePath.workspaces("default"), userToken)).json.data).toEqual([])
    }))

  it.live("of an upload stores nothing outside, whatever names are in the archive: it is not unpacked here", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const url = yield* serve(made)
      const workspace = yield* person(url).workspace("demo")
      const files = () => readdirSync(made, { recursive: true, encoding: "utf8" }).sort()
      const before = files()
      const archive = archiveOf({ "../../escaped": "x", [join(made, "absolute")]: "x", within: "x" })
      expect((yield* person(url).upload(workspace, archive)).status).toBe(204)
      expect(files()).toEqual([...before, join("data", "blobs", sha256(archive))].sort())
    }))
})
