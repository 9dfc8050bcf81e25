// The kubelet's question whether this Pod has the task.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { serveReadiness } from "../../src/worker/readiness.ts"

/** A port that was free a moment ago. */
const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

const status = (port: number, path = "/readyz") => Effect.promise(async () => (await fetch(`http://127.0.0.1:${port}${path}`)).status)

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
})
