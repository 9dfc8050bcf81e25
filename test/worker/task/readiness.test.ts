// The readiness probe, by which the kubelet asks whether this Pod has the task.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect, type Socket } from "node:net"
import { serveReadiness } from "../../../src/worker/task/readiness.ts"
import { freePort } from "../../free-port.ts"
import { answeringServer, noConnection } from "../answering-server.ts"

const status = (port: number, path = "/readyz") => Effect.promise(async () => (await fetch(`http://127.0.0.1:${port}${path}`)).status)

/** A connection on which half a request was sent; `closed` completes when the other side has closed it. */
const half = (port: number, head = "GET /readyz HTTP/1.1\r\n") =>
  Effect.callback<{ readonly socket: Socket; readonly closed: Effect.Effect<void>; readonly said: () => string }>((resume) => {
    let said = ""
    const socket = connect(port, "127.0.0.1")
    const closed = new Promise<void>((done) => void socket.on("error", () => {}).once("close", () => done()))
    socket.on("data", (bytes) => {
      said += bytes.toString()
    })
    socket.write(head, () => resume(Effect.succeed({ socket, closed: Effect.promise(() => closed), said: () => said })))
  })

describe("readiness", () => {
  it.live("is answered with yes only after the claim", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const ready = yield* serveReadiness(port)
      expect(yield* status(port)).toBe(503)
      yield* ready
      expect(yield* status(port)).toBe(200)
      expect(yield* status(port, "/")).toBe(404)
    }))

  it.live("is a clear failure when something else has the port", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      yield* serveReadiness(port)
      expect(yield* Effect.flip(serveReadiness(port))).toMatchObject({ message: expect.stringContaining(`Port ${port}`) })
    }))

  it.live("is answered however many connections are held, of which the oldest go", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      yield* yield* serveReadiness(port)
      const held = yield* Effect.forEach(Array.from({ length: 200 }), () => half(port))
      expect(yield* status(port)).toBe(200)
      yield* Effect.forEach(held.slice(0, 136), ({ closed }) => closed, { discard: true })
      expect(held.slice(-60).some(({ socket }) => socket.destroyed)).toBe(false)
    }))

  it.live("is answered also after connections that the system could not hand over", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      yield* yield* serveReadiness(port)
      const server = yield* answeringServer(status(port))
      for (const error of [noConnection, noConnection]) server.emit("error", error)
      expect(yield* status(port)).toBe(200)
    }))

  it.live("is given to nobody with a long head", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      yield* serveReadiness(port)
      const { closed, said } = yield* half(port, `GET /readyz HTTP/1.1\r\nx: ${"a".repeat(5000)}\r\n`)
      yield* closed
      expect(said()).toMatch(/^HTTP\/1\.1 431 /u)
    }))

  it.live("is given to nobody who takes long to ask", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      yield* serveReadiness(port)
      const { closed, said } = yield* half(port)
      yield* closed
      expect(said()).toMatch(/^HTTP\/1\.1 408 /u)
    }))

  it.live("holds up the end of the process for nobody who asks", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const { closed, said } = yield* Effect.scoped(Effect.andThen(serveReadiness(port), half(port)))
      yield* closed
      expect(said()).toBe("")
    }))
})
