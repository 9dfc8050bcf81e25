// A client that asks a server of ours for an upgrade, which none of them knows, has the limits of all others.
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer, type ServerOptions } from "node:http"
import { connect } from "node:net"
import { withoutUpgrades } from "../../src/http/without-upgrades.ts"
import { until } from "../until.ts"

/** Sends this on a connection whose client keeps its side open for ever; returns what it got, and how many connections the server has. */
const sending = Effect.fnUntraced(function*(options: ServerOptions, words: ReadonlyArray<string>) {
  const listener = withoutUpgrades(createServer(options))
  const server = yield* NodeHttpServer.make(() => listener, { port: 0, host: "127.0.0.1" })
  const readWhole = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ text }) => text)
  yield* server.serve(Effect.as(readWhole, HttpServerResponse.text("read")))
  if (server.address._tag === "UnixPathAddress") return yield* Effect.die(new Error("not a TCP address"))
  const { port } = server.address
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => connect({ port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {})),
    (socket) => Effect.sync(() => socket.destroy())
  )
  const seen = { text: "", connections: 0 }
  client.on("data", (part) => void (seen.text += String(part)))
  listener.on("connection", (socket) => {
    seen.connections++
    socket.once("close", () => seen.connections--)
  })
  client.write(words.join("\r\n"))
  return seen
})

const asked = (method: string, protocol: string) => [`${method} / HTTP/1.1`, "Host: a", "Connection: Upgrade", `Upgrade: ${protocol}`]
const protocols = [{ protocol: "h2c" }, { protocol: "websocket" }]

it.live.each([{ protocol: "h2c" }, { protocol: "websocket" }, { protocol: "h2c", more: ["Expect: 100-continue"] }])(
  "a request for an upgrade to $protocol is answered, and its connection closed, as Node loses what came behind it",
  ({ more = [], protocol }) =>
    Effect.gen(function*() {
      const seen = yield* sending({}, [...asked("GET", protocol), ...more, "", "GET / HTTP/1.1", "Host: a", "", ""])
      yield* until(() => seen.text.endsWith("read") && seen.connections === 0)
      expect(seen.text).toMatch(/HTTP\/1.1 200 OK\r\n(?:.+\r\n)*Connection: close\r\n/u)
    })
)

it.live.each(protocols)(
  "a request for an upgrade to $protocol whose body does not come in time is ended",
  ({ protocol }) =>
    Effect.gen(function*() {
      const limits = { headersTimeout: 100, requestTimeout: 100, connectionsCheckingInterval: 10 }
      const seen = yield* sending(limits, [...asked("POST", protocol), "Content-Length: 100", "", "{"])
      yield* until(() => seen.text !== "" && seen.connections === 0)
      expect(seen.text).toMatch(/^HTTP\/1.1 408 Request Timeout\r\n/u)
    })
)
