// The answers to the kubelet and Prometheus: alive, in step or what is missing, and metrics. A port that is taken is named in a sentence.
import { expect, it } from "@effect/vitest"
import { Effect, Layer, Ref } from "effect"
import { connect, createServer } from "node:net"
import { Health } from "../../../src/controller/lifecycle/health.ts"
import { programVersion } from "../../../src/schema/program-version.ts"
import { freePort } from "../../free-port.ts"
import { until } from "../../until.ts"

const takenPort = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
    const server = createServer().listen(0, () => {
      const address = server.address()
      resume(Effect.succeed({ port: typeof address === "object" && address !== null ? address.port : 0, close: () => server.close() }))
    })
  }),
  ({ close }) => Effect.sync(close)
)
const get = (port: number, path: string) =>
  Effect.promise(async () => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`)
    return { status: answer.status, text: await answer.text() }
  })

it.live("answers for the process, for its caches, and with its figures", () =>
  Effect.gen(function*() {
    const port = yield* freePort
    const missing = yield* Ref.make<ReadonlyArray<string>>(["tasks", "Pods"])
    yield* Layer.build(Health(port, Ref.get(missing)))
    expect(yield* get(port, "/healthz")).toEqual({ status: 200, text: "ok" })
    expect(yield* get(port, "/readyz")).toEqual({ status: 503, text: "waits for tasks, Pods" })
    yield* Ref.set(missing, [])
    expect((yield* get(port, "/readyz")).status).toBe(200)
    expect(yield* get(port, "/metrics")).toMatchObject({
      status: 200,
      text: expect.stringContaining(`\nagent_job_build_info{version="${programVersion}"} 1\n`)
    })
    expect((yield* get(port, "/other")).status).toBe(404)
  }).pipe(Effect.scoped))

it.live("answers a request for an upgrade like any other, and closes its connection", () =>
  Effect.gen(function*() {
    const port = yield* freePort
    yield* Layer.build(Health(port, Effect.succeed([])))
    const socket = connect(port, "127.0.0.1")
    let text = ""
    socket.on("data", (chunk) => (text += String(chunk)))
    socket.write("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")
    yield* until(() => socket.closed)
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/u)
  }).pipe(Effect.scoped))

it.live("says that the port is taken, and what to do", () =>
  Effect.gen(function*() {
    const { port } = yield* takenPort
    const error = yield* Effect.flip(Layer.build(Health(port, Effect.succeed([]))))
    expect(error.message).toBe(`Cannot serve health on port ${port} (another program listens there); give another one with --health-port.`)
  }).pipe(Effect.scoped))
