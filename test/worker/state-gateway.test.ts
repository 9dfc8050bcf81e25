// The engine's state through the worker: acknowledged only when the server has it, whatever happens on the way.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, Scope } from "effect"
import { TestClock } from "effect/testing"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { join } from "node:path"
import { openGateway } from "../../src/worker/state-gateway.ts"
import { Settled, StateDelivery } from "../../src/worker/state-delivery.ts"
import { type PoolParts, poolParts } from "./pool-parts.ts"

type Env = Readonly<Record<string, string>>
const lockInfo = { ID: "engine-lock", Operation: "OperationTypeApply", Who: "somebody" }
const state = (serial: number) => JSON.stringify({ version: 4, serial, lineage: "one", resources: [] })

/** One request as the engine's `http` backend makes it. */
const ask = (env: Env, what: "read" | "write" | "lock" | "unlock", body?: string, authorization?: string) =>
  Effect.promise(async (signal) => {
    const url = { read: env.TF_HTTP_ADDRESS, write: env.TF_HTTP_ADDRESS, lock: env.TF_HTTP_LOCK_ADDRESS, unlock: env.TF_HTTP_UNLOCK_ADDRESS }[what] ?? ""
    const response = await fetch(url, {
      method: what === "read" ? "GET" : "POST",
      headers: { authorization: authorization ?? `Basic ${Buffer.from(`${env.TF_HTTP_USERNAME}:${env.TF_HTTP_PASSWORD}`).toString("base64")}` },
      ...(body !== undefined && { body }),
      signal
    })
    return { status: response.status, text: await response.text() }
  })
const lock = (env: Env) => ask(env, "lock", JSON.stringify(lockInfo))
const unlock = (env: Env) => ask(env, "unlock", JSON.stringify(lockInfo))
const write = (env: Env, serial: number) => ask(env, "write", state(serial))

const kept = ({ privateDirectory }: PoolParts) => join(privateDirectory, "unsaved.tfstate")
const until = (holds: () => boolean) => Effect.repeat(Effect.sleep("10 millis"), { until: holds }).pipe(Effect.timeout("30 seconds"))

/** As after an engine that ended in order. */
const settle = (left = Option.none<Uint8Array>()) => Effect.flatMap(StateDelivery, (delivery) => Effect.tap(delivery.settle(left), delivery.giveBack))

/** With the gateway of one writing command open. */
const withGateway = <A, E>(use: (env: Env, parts: PoolParts) => Effect.Effect<A, E, StateDelivery | Scope.Scope>, writable = true, statePatience?: string, patience = "300 millis") =>
  Effect.gen(function*() {
    const parts = yield* poolParts(patience, statePatience)
    const context = yield* Layer.build(parts.layer)
    return yield* Effect.gen(function*() {
      const { env } = yield* openGateway(writable)
      return yield* use(env, parts)
    }).pipe(Effect.provide(context))
  }).pipe(Effect.scoped)

/** A connection that sends these words and nothing more by itself; nobody reads what it is answered. */
const saying = (env: Env, ...words: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = connect(Number(new URL(env.TF_HTTP_ADDRESS ?? "").port), "127.0.0.1")
      socket.on("error", () => {})
      socket.write(words.join("\r\n"))
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )
const first = (env: Env, method: string) => [
  `${method} ${new URL(env.TF_HTTP_ADDRESS ?? "").pathname} HTTP/1.1`,
  "Host: 127.0.0.1",
  `Authorization: Basic ${Buffer.from(`${env.TF_HTTP_USERNAME}:${env.TF_HTTP_PASSWORD}`).toString("base64")}`
]
const answered = (socket: Socket) => until(() => socket.readableLength > 0 || socket.destroyed)
/** A push of which the gateway has begun to read the body: that is when it says that it may come. */
const halfSent = (env: Env, size: number, part: string) =>
  Effect.tap(saying(env, ...first(env, "POST"), `Content-Length: ${size}`, "Expect: 100-continue", "", part), (socket) => {
    socket.resume().pause()
    return answered(socket)
  })

describe("the state gateway", () => {
  it.live("is read, locked, written and unlocked like a server", () =>
    withGateway(Effect.fnUntraced(function*(env, { api, ...parts }) {
      expect((yield* ask(env, "read")).status).toBe(404)
      expect((yield* lock(env)).status).toBe(200)
      expect((yield* write(env, 1)).status).toBe(200)
      expect((yield* ask(env, "read")).text).toBe(state(1))
      expect((yield* unlock(env)).status).toBe(200)
      expect(existsSync(kept({ api, ...parts }))).toBe(false)
      expect(yield* settle()).toEqual(Settled.Saved())
      expect(api).toMatchObject({ serials: [1], lock: undefined, epoch: 1 })
    })))

  it.live("answers nobody without the password of this command", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      const address = env.TF_HTTP_ADDRESS ?? ""
      expect((yield* ask(env, "read", undefined, "Basic d29ya2VyOndyb25n")).status).toBe(401)
      expect((yield* ask(env, "lock", JSON.stringify(lockInfo), "")).status).toBe(401)
      expect((yield* ask({ ...env, TF_HTTP_ADDRESS: address.replace(/\/[^/]+$/u, "/elsewhere") }, "read")).status).toBe(405)
      expect(api.requests).toEqual([])
    })))

  it.live("listens no longer than its command runs, and never twice with the same words", () =>
    Effect.gen(function*() {
      const first = yield* withGateway((env) => Effect.succeed(env))
      const second = yield* withGateway((env) => Effect.succeed(env))
      expect(second.TF_HTTP_PASSWORD).not.toBe(first.TF_HTTP_PASSWORD)
      expect(yield* Effect.exit(Effect.tryPromise(() => fetch(first.TF_HTTP_ADDRESS ?? "")))).toMatchObject({ _tag: "Failure" })
    }))

  it.live("lets a command that changes nothing only read", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      api.state = Buffer.from(state(7))
      expect((yield* ask(env, "read")).text).toBe(state(7))
      expect((yield* lock(env)).status).toBe(405)
      expect((yield* write(env, 8)).status).toBe(405)
      expect(api.requests).toEqual(["GET /state 200"])
    }), false))

  it.live("refuses a state without a lock", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      expect((yield* write(env, 1)).status).toBe(409)
      expect(api.requests).toEqual([])
    })))

  it.live("refuses a state that is too large", () =>
    withGateway(Effect.fnUntraced(function*(env) {
      yield* lock(env)
      expect((yield* ask(env, "write", "x".repeat(65 * 1024 ** 2))).status).toBe(413)
    })))

  it.live("names the holder of a lock to the engine", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      api.lock = { ID: "somebody-else" }
      const answer = yield* lock(env)
      expect(answer.status).toBe(409)
      expect(JSON.parse(answer.text)).toMatchObject({ ID: "somebody-else" })
    })))

  it.live("gets a lock and a state through although their answers are lost", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      api.fault("POST /state/lock", "lose answer", "break")
      api.fault("POST /state", "break", "not ours", "lose answer", 500)
      api.fault("POST /state/unlock", "lose answer")
      expect((yield* lock(env)).status).toBe(200)
      expect((yield* write(env, 1)).status).toBe(200)
      expect((yield* unlock(env)).status).toBe(200)
      yield* settle()
      expect(api).toMatchObject({ serials: [1], epoch: 1, lock: undefined })
    })))

  it.live("keeps the engine waiting, and a copy on the disk, until the server is there again", () =>
    withGateway(Effect.fnUntraced(function*(env, parts) {
      let tries = 0
      parts.api.onRequest = () => void tries++
      yield* lock(env)
      const up = parts.api.goDown()
      const writing = yield* Effect.forkChild(write(env, 1))
      yield* until(() => existsSync(kept(parts)))
      expect(readFileSync(kept(parts), "utf8")).toBe(state(1))
      yield* until(() => tries > 4) // longer than other questions are asked
      expect(parts.api.serials).toEqual([])
      expect([writing.pollUnsafe(), parts.isUnsaved()]).toEqual([undefined, true])
      up()
      expect((yield* Fiber.join(writing)).status).toBe(200)
      expect([parts.api.serials, parts.isUnsaved()]).toEqual([[1], false])
      expect(existsSync(kept(parts))).toBe(false)
    })))

  it.live("delivers a state although the engine has hung up, and keeps its lock, so that the server knows that it did not end in order", () =>
    withGateway(Effect.fnUntraced(function*(env, parts) {
      yield* lock(env)
      const up = parts.api.goDown()
      const writing = yield* Effect.forkChild(write(env, 1))
      yield* until(() => existsSync(kept(parts)))
      yield* Fiber.interrupt(writing)
      const settling = yield* Effect.forkChild(settle())
      up()
      expect(yield* Fiber.join(settling)).toEqual(Settled.Saved())
      expect(new Set(parts.api.requests.filter((request) => request.startsWith("POST /state")))).toEqual(new Set(["POST /state/lock 200", "POST /state 204"]))
      expect(parts.api.lock).toMatchObject({ ID: "engine-lock" })
    })))

  it.live("does not wait for a push of an engine that is gone, beyond the time that a last state has", () =>
    withGateway(Effect.fnUntraced(function*(env, parts) {
      yield* lock(env)
      parts.api.goDown()
      const writing = yield* Effect.forkChild(write(env, 1))
      yield* until(() => existsSync(kept(parts)))
      yield* Fiber.interrupt(writing)
      expect(yield* settle().pipe(Effect.timeout("20 seconds"))).toMatchObject({ _tag: "Unsaved" })
    }), true, "500 millis"))

  it.live("tells the engine when the server will not have its state, and keeps the copy", () =>
    withGateway(Effect.fnUntraced(function*(env, parts) {
      yield* lock(env)
      parts.api.epoch++ // the lock was taken away and given to somebody else
      const answer = yield* write(env, 1)
      expect(answer.status).toBe(409)
      expect(readFileSync(kept(parts), "utf8")).toBe(state(1))
      const settled = yield* settle()
      expect(settled).toMatchObject({ _tag: "Unsaved", why: "The state is locked by somebody." })
      expect(readFileSync(kept(parts), "utf8")).toBe(state(1))
      expect(parts.api.serials).toEqual([])
    })))

  it.live("gives up at the end of the grace, says so, and keeps the copy", () =>
    withGateway(Effect.fnUntraced(function*(env, parts) {
      yield* lock(env)
      parts.api.goDown()
      const writing = yield* Effect.forkChild(write(env, 1))
      yield* until(() => existsSync(kept(parts)))
      yield* parts.endGrace
      expect((yield* Fiber.join(writing)).status).toBe(503)
      const settled = yield* settle()
      expect(settled).toMatchObject({ _tag: "Unsaved", why: expect.stringMatching(/gives no answer/u) })
      expect([existsSync(kept(parts)), parts.isUnsaved()]).toEqual([true, true])
    })))

  it.live("gives a lock back before it takes another one", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      yield* lock(env)
      yield* unlock(env)
      expect((yield* ask(env, "lock", JSON.stringify({ ID: "next-lock" }))).status).toBe(200)
      expect(api).toMatchObject({ lock: { ID: "next-lock" }, epoch: 2 })
      expect((yield* unlock(env)).status).toBe(409)
    })))

  it.live("reads through an outage too while it is locked, since the engine reads before it writes", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      let tries = 0
      api.onRequest = () => void tries++
      yield* lock(env)
      const up = api.goDown()
      const reading = yield* Effect.forkChild(ask(env, "read"))
      yield* until(() => tries > 4)
      up()
      expect((yield* Fiber.join(reading)).status).toBe(404)
    })))

  it.live("answers from what it knows under the lock when the server is away, so that the engine's next state reaches the worker's disk", () =>
    withGateway(Effect.fnUntraced(function*(env, parts) {
      parts.api.state = Buffer.from(state(1))
      yield* lock(env)
      expect((yield* ask(env, "read")).text).toBe(state(1))
      yield* write(env, 2)
      const up = parts.api.goDown()
      expect((yield* ask(env, "read")).text).toBe(state(2))
      const writing = yield* Effect.forkChild(write(env, 3))
      yield* until(() => existsSync(kept(parts)) && readFileSync(kept(parts), "utf8") === state(3))
      up()
      expect((yield* Fiber.join(writing)).status).toBe(200)
    })))

  it.live("does not take a 404 of something before the server for an empty state", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      api.state = Buffer.from(state(1))
      api.fault("GET /state", 404)
      expect(yield* ask(env, "read")).toEqual({ status: 200, text: state(1) })
      api.fault("GET /state", ...Array.from({ length: 20 }, () => 404 as const))
      expect((yield* ask(env, "read")).status).toBe(503)
    })))

  it.live("reads the token again, since it may have been renewed", () =>
    withGateway(Effect.fnUntraced(function*(env, { api, tokenFile }) {
      yield* lock(env)
      writeFileSync(tokenFile, "an old token")
      const writing = yield* Effect.forkChild(write(env, 1))
      yield* until(() => api.requests.includes("POST /state 401"))
      writeFileSync(tokenFile, api.token)
      expect((yield* Fiber.join(writing)).status).toBe(200)
    })))
})

describe("a lock that the engine asks for and does not hear of", () => {
  /** The first time its answer is lost, and from then on nothing answers. */
  const unheard = ["lose answer", ...Array.from({ length: 100 }, () => "break" as const)] as const
  const askedTwice = (api: PoolParts["api"]) =>
    Effect.suspend(() => {
      let asked = 0
      api.onRequest = () => void asked++
      return until(() => asked > 1)
    })

  it.live("goes back, since nothing was changed under it", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      api.fault("POST /state/lock", ...unheard)
      expect((yield* lock(env)).status).toBe(503)
      expect(api.lock).toMatchObject({ ID: "engine-lock" })
      expect(yield* settle()).toEqual(Settled.Unwritten())
      expect(api.lock).toBeUndefined()
    })))

  it.live("goes back when the engine has hung up meanwhile", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      api.fault("POST /state/lock", ...unheard)
      const locking = yield* Effect.forkChild(lock(env))
      yield* askedTwice(api)
      yield* Fiber.interrupt(locking)
      yield* settle()
      expect(api.lock).toBeUndefined()
    }), true, undefined, "1 hour"))

  it.live("is asked for no longer than the command runs", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      api.goDown()
      const locking = yield* Effect.forkChild(lock(env))
      yield* askedTwice(api)
      yield* Fiber.interrupt(locking)
    }), true, undefined, "1 hour"))

  it.live.each(["POST /state/lock", "GET /assignment"])("is held up by %s no longer than the grace lasts", (request) =>
    withGateway(Effect.fnUntraced(function*(env, { api, endGrace }) {
      api.fault(request, ...unheard)
      const locking = yield* Effect.forkChild(lock(env))
      yield* askedTwice(api)
      yield* endGrace
      expect((yield* Fiber.join(locking)).status).toBe(503)
    }), true, undefined, "1 hour"))
})

describe("what the engine left", () => {
  it.live("is sent under the lock of the engine, which is given back only then", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      yield* lock(env)
      yield* unlock(env)
      expect(api.lock).toMatchObject({ ID: "engine-lock" })
      yield* settle(Option.some(Buffer.from(state(3))))
      expect(api).toMatchObject({ serials: [3], lock: undefined, epoch: 1 })
    })))

  it.live("is sent under a lock of the worker's own when the engine had none", () =>
    withGateway(Effect.fnUntraced(function*(_, { api }) {
      const settled = yield* settle(Option.some(Buffer.from(state(3))))
      expect(settled).toEqual(Settled.Saved())
      expect(api).toMatchObject({ serials: [3], lock: undefined })
    })))

  it.live("is not sent again when the server has it", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      yield* lock(env)
      yield* write(env, 3)
      yield* unlock(env)
      yield* settle(Option.some(Buffer.from(state(3))))
      expect(api.requests.filter((request) => request.startsWith("POST /state "))).toEqual(["POST /state 204"])
    })))

  it.live("is asked for again long after other questions are given up, when the server is away", () =>
    withGateway(Effect.fnUntraced(function*(_, { api }) {
      let tries = 0
      api.onRequest = () => void tries++
      const up = api.goDown()
      const settling = yield* Effect.forkChild(settle(Option.some(Buffer.from(state(3)))))
      yield* until(() => tries > 4)
      up()
      expect(yield* Fiber.join(settling)).toEqual(Settled.Saved())
      expect(api.serials).toEqual([3])
    })))

  it.live("is given up in the end, and kept", () =>
    withGateway(Effect.fnUntraced(function*(_, parts) {
      parts.api.goDown()
      expect(yield* settle(Option.some(Buffer.from(state(3))))).toMatchObject({ _tag: "Unsaved" })
      expect(readFileSync(kept(parts), "utf8")).toBe(state(3))
    }), true, "500 millis"))

  it.live("is nothing when no state was written, and the lock goes back if the engine gave it back", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      yield* lock(env)
      yield* unlock(env)
      expect(yield* settle()).toEqual(Settled.Unwritten())
      expect(api.lock).toBeUndefined()
    })))

  it.live("leaves the lock where the engine never gave it back, since what it changed last may be nowhere", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      yield* lock(env)
      yield* write(env, 1)
      expect(yield* settle()).toEqual(Settled.Saved())
      expect(api.lock).toMatchObject({ ID: "engine-lock" })
    })))
})

describe("a runner that sends more than an engine does", () => {
  it.effect("has one push read at a time, and a minute for each", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      yield* lock(env)
      const slow = yield* TestClock.withLive(halfSent(env, state(1).length, state(1).slice(0, 9)))
      const next = yield* saying(env, ...first(env, "POST"), `Content-Length: ${state(2).length}`, "Expect: 100-continue", "", state(2))
      yield* ask(env, "read")
      yield* TestClock.adjust("59 seconds")
      expect([String(next.read()), String(slow.read())]).toEqual(["null", expect.stringContaining("100 Continue")])
      yield* TestClock.adjust("1 second")
      yield* TestClock.withLive(Effect.andThen(answered(slow), until(() => api.serials.length > 0)))
      expect([String(slow.read()), api.serials]).toEqual([expect.stringContaining("408"), [2]])
    })))

  it.live("is answered once on each connection, so that no second state waits in memory until it is read", () =>
    withGateway(Effect.fnUntraced(function*(env, { api }) {
      api.state = Buffer.from(state(1))
      const socket = yield* saying(env, ...first(env, "GET"), "", ...first(env, "GET"), "", ...first(env, "GET"), "", "")
      let answers = ""
      socket.on("data", (part) => void (answers += part))
      yield* until(() => answers.includes("HTTP/1.1 503 "))
      expect(answers).toMatch(/^HTTP\/1.1 200 /u)
      expect(api.requests).toEqual(["GET /state 200"])
    })))

  it.live("loses a connection that it holds and asks nothing on", () =>
    withGateway(Effect.fnUntraced(function*(env) {
      const [half, nothing] = [yield* saying(env, ...first(env, "GET")), yield* saying(env, "")]
      for (const socket of [half, nothing]) socket.resume()
      yield* until(() => half.destroyed && nothing.destroyed)
    })))

  it.live("has no more than four connections", () =>
    withGateway(Effect.fnUntraced(function*(env) {
      const sockets = yield* Effect.forEach(Array.from({ length: 5 }), () => Effect.tap(saying(env, "GET "), (socket) => until(() => !socket.connecting)))
      const isEnded = (socket: Socket) => socket.readableEnded || socket.destroyed
      for (const socket of sockets) socket.resume()
      yield* until(() => sockets.some(isEnded))
      expect(sockets.map(isEnded)).toEqual([...Array<boolean>(4).fill(false), true])
    })))
})

describe("the end of a command", () => {
  it.live.each([
    { beside: "a request of which half the head has come", hold: (env: Env) => Effect.tap(saying(env, "GET / HTTP/1.1", "Host: "), (socket) => until(() => !socket.connecting)) },
    { beside: "a push of which half the body has come", hold: (env: Env) => halfSent(env, state(1).length, state(1).slice(0, 9)) },
    { beside: "an answer that nobody reads, before another request", hold: (env: Env) => Effect.tap(saying(env, ...first(env, "GET"), "", "GET"), answered) },
    { beside: "a connection that is to speak something else", hold: (env: Env) => Effect.tap(saying(env, ...first(env, "GET"), "Connection: Upgrade", "Upgrade: other", "", ""), answered) }
  ])("is not held up by $beside", ({ hold }) =>
    withGateway(Effect.fnUntraced(function*(_, { api }) {
      api.state = Buffer.alloc(32 * 1024 ** 2, " ")
      const longer = yield* Effect.scope
      const command = Effect.scoped(Effect.flatMap(openGateway(true), ({ env }) => Effect.andThen(lock(env), Scope.provide(hold(env), longer))))
      const settling = yield* Effect.forkDetach(Effect.andThen(command, settle()))
      expect(yield* Fiber.join(settling).pipe(Effect.timeout("20 seconds"))).toEqual(Settled.Unwritten())
      expect(api.serials).toEqual([])
    })))

  it.live("does not break off a last push that still comes", () =>
    withGateway(Effect.fnUntraced(function*(_, { api }) {
      const command = yield* Scope.make()
      const { env } = yield* Scope.provide(openGateway(true), command)
      yield* lock(env)
      const socket = yield* halfSent(env, state(1).length, state(1).slice(0, 9))
      const ending = yield* Effect.forkDetach(Scope.close(command, Exit.void))
      yield* Effect.repeat(Effect.exit(Effect.tryPromise(() => fetch(env.TF_HTTP_ADDRESS))), { until: Exit.isFailure }) // it takes no other connection
      socket.write(state(1).slice(9))
      yield* Fiber.join(ending)
      expect(api.serials).toEqual([1])
    })))
})
