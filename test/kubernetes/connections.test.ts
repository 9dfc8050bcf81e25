// How the client connects to an API server that offers more than it should take.
import { expect, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { createSecureServer } from "node:http2"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { jobs } from "../../src/kubernetes/kinds.ts"
import { authority } from "../http/certificates.ts"

const place = Effect.acquireRelease(Effect.sync(() => mkdtempSync(join(tmpdir(), "api-server-"))), (made) => Effect.sync(() => rmSync(made, { recursive: true })))

it.live("speaks HTTP/1.1 to a server that would rather have HTTP/2, whose requests cannot be given up safely in Node", () =>
  Effect.gen(function*() {
    const ca = authority(yield* place)
    const versions: Array<string> = []
    const server = createSecureServer({ ...ca.sign("api-server"), allowHTTP1: true }, ({ httpVersion }, response) => {
      versions.push(httpVersion)
      response.writeHead(200).end(JSON.stringify({ metadata: { name: "demo", namespace: "team", uid: "u", resourceVersion: "7" } }))
    })
    yield* Effect.acquireRelease(Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))), () => Effect.sync(() => server.close()))
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const credentials = { server: `https://127.0.0.1:${port}`, namespace: "team", tls: { ca: ca.cert }, headers: Effect.succeed({}), refresh: Effect.void }
    const kubernetes = Context.get(yield* Layer.build(Kubernetes.layer(Effect.succeed(credentials))), Kubernetes)
    yield* kubernetes.create(jobs, { metadata: { name: "demo", namespace: "team" } })
    expect(versions).toEqual(["1.1"])
  }).pipe(Effect.scoped))
