// How the client connects to an API server that offers more than the client should accept.
import { expect, it } from "@effect/vitest"
import { ConfigProvider, Context, Deferred, Effect, Fiber, Layer } from "effect"
import { execFile } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { createSecureServer } from "node:http2"
import { createServer } from "node:https"
import { join } from "node:path"
import { promisify } from "node:util"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { inCluster } from "../../src/kubernetes/in-cluster.ts"
import { jobs } from "../../src/kubernetes/kinds.ts"
import { bundle } from "../bundle.ts"
import { authority } from "../http/certificates.ts"
import { listening } from "../http/forward-proxy.ts"
import { temporaryFolder } from "../temporary-folder.ts"

const job = JSON.stringify({ metadata: { name: "demo", namespace: "team", uid: "u", resourceVersion: "7" } })

const place = temporaryFolder("api-server")

it.live("speaks HTTP/1.1 to a server that would rather have HTTP/2, whose requests cannot be given up safely in Node", () =>
  Effect.gen(function*() {
    const ca = authority(yield* place)
    const versions: Array<string> = []
    const server = createSecureServer({ ...ca.sign("api-server"), allowHTTP1: true }, ({ httpVersion }, response) => {
      versions.push(httpVersion)
      response.writeHead(200).end(job)
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () => Effect.sync(() => server.close())
    )
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const credentials = {
      server: `https://127.0.0.1:${port}`,
      namespace: "team",
      tls: { ca: ca.cert },
      headers: Effect.succeed({}),
      refresh: Effect.void
    }
    const kubernetes = Context.get(yield* Layer.build(Kubernetes.layer(Effect.succeed(credentials))), Kubernetes)
    yield* kubernetes.create(jobs, { metadata: { name: "demo", namespace: "team" } })
    expect(versions).toEqual(["1.1"])
  }).pipe(Effect.scoped))

it.live("trusts an authority that came after the start, and no longer the one that it replaced", () =>
  Effect.gen(function*() {
    const directory = yield* place
    const [old, next] = ["old", "next"].map((name) => {
      mkdirSync(join(directory, name))
      const { cert, sign } = authority(join(directory, name))
      return { cert, identity: sign("api-server") }
    })
    if (old === undefined || next === undefined) return expect.unreachable()
    const server = createServer(old.identity, (_, response) => void response.end(job))
    const port = yield* listening(server)
    const give = ({ cert }: { readonly cert: string }) => writeFileSync(join(directory, "ca.crt"), cert)
    give(old)
    writeFileSync(join(directory, "token"), "token")
    const credentials = yield* inCluster({ directory }).pipe(
      Effect.provide(
        ConfigProvider.layer(ConfigProvider.fromUnknown({ KUBERNETES_SERVICE_HOST: "127.0.0.1", KUBERNETES_SERVICE_PORT: String(port) }))
      )
    )
    const kubernetes = Context.get(yield* Layer.build(Kubernetes.layer(Effect.succeed(credentials))), Kubernetes)
    const create = Effect.match(kubernetes.create(jobs, { metadata: { name: "demo", namespace: "team" } }), {
      onFailure: ({ _tag }) => _tag,
      onSuccess: () => "made"
    })
    expect(yield* create).toBe("made")
    server.setSecureContext(next.identity)
    server.closeAllConnections()
    expect(yield* create).toBe("Unreachable")
    give(next)
    yield* credentials.refresh
    expect(yield* create).toBe("made")
    server.setSecureContext(old.identity)
    server.closeAllConnections()
    expect(yield* create).toBe("Unreachable")
  }).pipe(Effect.scoped))

it.live("uses a connection again, also when an answer comes before Node has looked whether the question was sent", () =>
  Effect.gen(function*() {
    const directory = yield* place
    const ca = authority(directory)
    const program = join(directory, "many-calls.cjs")
    bundle("test/kubernetes/many-calls.ts", program)
    let connections = 0
    const server = createServer(
      ca.sign("api-server"),
      (request, response) => void request.resume().on("end", () => response.writeHead(201).end(job))
    )
    server.on("connection", () => void connections++)
    const env = { ...process.env, SERVER: `https://127.0.0.1:${yield* listening(server)}`, CA: ca.cert }
    yield* Effect.promise(() => promisify(execFile)(process.execPath, [program], { env }))
    // Four requests run at a time. Each may have begun a connection before the one of the request before was free.
    expect(connections).toBeLessThanOrEqual(8)
  }).pipe(Effect.scoped))

it.live("closes a connection that nobody uses, and none whose answer takes longer", () =>
  Effect.gen(function*() {
    const ca = authority(yield* place)
    const asked: Array<string> = []
    const begun = yield* Deferred.make<void>()
    let answerSlow = () => {}
    const server = createServer(ca.sign("api-server"), ({ socket, url = "" }, response) => {
      asked.push(url.slice(url.lastIndexOf("/") + 1))
      if (url.endsWith("/slow")) {
        answerSlow = () => void response.end(job)
        return Deferred.doneUnsafe(begun, Effect.void)
      }
      socket.once("close", () => answerSlow())
      response.end(job)
    })
    server.keepAliveTimeout = 0 // it closes none itself
    const credentials = {
      server: `https://127.0.0.1:${yield* listening(server)}`,
      namespace: "team",
      tls: { ca: ca.cert },
      headers: Effect.succeed({}),
      refresh: Effect.void
    }
    const kubernetes = Context.get(yield* Layer.build(Kubernetes.layer(Effect.succeed(credentials))), Kubernetes)
    const slow = yield* Effect.forkScoped(kubernetes.get(jobs, { namespace: "team", name: "slow" }))
    yield* Deferred.await(begun)
    yield* kubernetes.get(jobs, { namespace: "team", name: "fast" })
    expect(yield* Effect.timeoutOption(Fiber.join(slow), "60 seconds")).toMatchObject({ _tag: "Some" })
    expect(asked).toEqual(["slow", "fast"])
  }).pipe(Effect.scoped))
