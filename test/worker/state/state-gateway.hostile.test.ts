// A hostile runner at the gateway, which does what no engine does: it neither fills the worker's memory nor holds up the end of a command.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { connect, type Socket } from "node:net"
import { SettledState } from "../../../src/worker/state/state-delivery.ts"
import { openGateway } from "../../../src/worker/state/state-gateway.ts"
import { until } from "../../until.ts"
import { ask, type Env, lock, settle, state, withGateway } from "./gateway.ts"

/** Opens a connection that sends these lines and nothing else by itself, and whose answer nobody reads yet. */
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
  "Host: 127.0.0.1"
]
const answered = (socket: Socket) => until(() => socket.readableLength > 0 || socket.destroyed)
/** Begins a push and waits until the gateway begins to read its body, which it announces with 100 Continue. */
const halfSent = (env: Env, size: number, part: string) =>
  Effect.tap(saying(env, ...first(env, "POST"), `Content-Length: ${size}`, "Expect: 100-continue", "", part), (socket) => {
    socket.resume().pause()
    return answered(socket)
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
      const sockets = yield* Effect.forEach(Array.from({ length: 5 }), () =>
        Effect.tap(saying(env, "GET "), (socket) => until(() => !socket.connecting)))
      const isEnded = (socket: Socket) =>
        socket.readableEnded || socket.destroyed
      for (const socket of sockets) socket.resume()
      yield* until(() => sockets.some(isEnded))
      expect(sockets.map(isEnded)).toEqual([...Array<boolean>(4).fill(false), true])
    })))

  it.live("holds none of these by asking for an upgrade and not hanging up after the answer", () =>
    withGateway(Effect.fnUntraced(function*(env) {
      const wish = [...first(env, "GET"), "Connection: Upgrade", "Upgrade: other", "", ""]
      for (let count = 0; count < 4; count++) {
        const socket = yield* saying(env, ...wish)
        socket.allowHalfOpen = true
        yield* answered(socket)
      }
      const engine = Effect.tryPromise(() => fetch(env.TF_HTTP_ADDRESS ?? ""))
      expect((yield* Effect.eventually(engine).pipe(Effect.timeout("5 minutes"))).status).toBe(404)
    })))
})

describe("the end of a command", () => {
  it.live.each([
    {
      beside: "a request of which half the head has come",
      hold: (env: Env) => Effect.tap(saying(env, "GET / HTTP/1.1", "Host: "), (socket) => until(() => !socket.connecting))
    },
    { beside: "a push of which half the body has come", hold: (env: Env) => halfSent(env, state(1).length, state(1).slice(0, 9)) },
    {
      beside: "an answer that nobody reads, before another request",
      hold: (env: Env) => Effect.tap(saying(env, ...first(env, "GET"), "", "GET"), answered)
    },
    {
      beside: "a connection that is to speak something else",
      hold: (env: Env) => Effect.tap(saying(env, ...first(env, "GET"), "Connection: Upgrade", "Upgrade: other", "", ""), answered)
    }
  ])("is not held up by $beside", ({ hold }) =>
    withGateway(Effect.fnUntraced(function*(_, { api }) {
      api.state = Buffer.alloc(32 * 1024 ** 2, " ")
      const longer = yield* Effect.scope
      const command = Effect.scoped(
        Effect.flatMap(openGateway(true), ({ env }) => Effect.andThen(lock(env), Scope.provide(hold(env), longer)))
      )
      const settling = yield* Effect.forkDetach(Effect.andThen(command, settle()))
      expect(yield* Fiber.join(settling).pipe(Effect.timeout("5 minutes"))).toEqual(SettledState.Unwritten())
      expect(api.serials).toEqual([])
    })))

  it.effect("does not break off a last push that still comes", () =>
    withGateway(Effect.fnUntraced(function*(_, { api }) {
      const command = yield* Scope.make()
      const { env } = yield* Scope.provide(openGateway(true), command)
      yield* lock(env)
      const socket = yield* halfSent(env, state(1).length, state(1).slice(0, 9))
      const ending = yield* Effect.forkDetach(Scope.close(command, Exit.void))
      // Waits until the gateway takes no other connection.
      yield* Effect.repeat(Effect.exit(Effect.tryPromise(() => fetch(env.TF_HTTP_ADDRESS))), { until: Exit.isFailure })
      socket.write(state(1).slice(9))
      yield* Fiber.join(ending)
      expect(api.serials).toEqual([1])
    })))
})
