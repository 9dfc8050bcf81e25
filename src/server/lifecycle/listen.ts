// The port: what a connection may cost, and the headers for browsers that every answer has, whoever wrote it.
// Invariant: a client that sends or reads slowly, opens many connections, or asks many things at once on one, delays nobody but itself.
// Used by server/lifecycle/server; how often one may ask, and how much at once, is in server/access/limits.
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { Context, Duration, Effect, Layer } from "effect"
import { HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer, type Server } from "node:http"
import { createServer as createSecureServer } from "node:https"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { logged } from "../../http/request-log.ts"
import { withoutUpgrades } from "../../http/without-upgrades.ts"
import { statesPath } from "../../schema/api/state.ts"
import { codeOf, errorInWords } from "../../schema/system-error.ts"
import { jsonApiErrors, problem } from "../access/http-answer.ts"
import { notFound, Refused } from "../refused.ts"
import { ServerError, type ServerOptions, type TlsFiles } from "../settings.ts"
import { Commits } from "../store/commits.ts"
import { newId } from "../store/ids.ts"
import { firstPair, following, ShownPair } from "./certificate.ts"

/** How long a request may take to arrive, in milliseconds: the largest body, a saved plan of 256 MiB, takes this long at 300 KiB/s. */
const requestTimeout = 15 * 60_000
const headersTimeout = 10_000
/** How long a connection may be silent, in milliseconds: longer than any long poll. */
const silentConnection = 120_000
const headerLimitBytes = 16 * 1024
const urlLimit = 8 * 1024
/**
 * The most open connections. An address may be a whole cluster behind its gateway, in which each of hundreds of workers keeps a few open.
 */
export const Connections = Context.Reference<Readonly<Record<"atOnce" | "ofOneAddress", number>>>("agent-job/server/Connections", {
  defaultValue: () => ({ atOnce: 4096, ofOneAddress: 3072 })
})

/**
 * The most requests of one connection that may wait for the answer to the one before. One may arrive before we learn that its client has
 * the whole answer; a client that sends more asks without reading.
 */
const waitingOfConnection = 4

/** The headers of every answer: there is nothing here for a browser to load, frame, guess or keep. */
const guards: Readonly<Record<string, string>> = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store"
}

/** The headers of an answer of a server that is about to stop, which is the last one on its connection. */
const lastGuards = { ...guards, connection: "close" }

const words: Readonly<Record<string, readonly [number, string, string]>> = {
  HPE_HEADER_OVERFLOW: [
    431,
    "Request Header Fields Too Large",
    `The headers and the address have more than ${headerLimitBytes} bytes; make them smaller.`
  ],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout", "The request did not arrive in time; send it again, and faster."]
}

/** Answers bytes that are not HTTP, or not in time, for which there is no request yet, and closes the connection. */
const refuse = (error: Error & { readonly code?: string }, socket: Duplex): void => {
  const [status, phrase, message] = words[error.code ?? ""] ?? [400, "Bad Request", "The request is no HTTP; send it again."]
  if (!socket.writable) return void socket.destroy()
  const body = JSON.stringify({ error: phrase.toLowerCase().replaceAll(" ", "-"), message })
  const headers = { ...guards, "content-type": "application/json", "content-length": String(Buffer.byteLength(body)), connection: "close" }
  socket.end(
    `HTTP/1.1 ${status} ${phrase}\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${body}`,
    () => socket.destroy()
  ) // a client that goes on sending holds nothing
}

/** Closes connections of one address beyond its share, before they cost anything. */
const shareConnections = (server: Server, ofOneAddress: number): void => {
  const open = new Map<string, number>()
  server.on("connection", (socket) => {
    const from = socket.remoteAddress ?? ""
    const count = (open.get(from) ?? 0) + 1
    open.set(from, count)
    socket.once("close", () => {
      const left = (open.get(from) ?? 1) - 1
      if (left === 0) open.delete(from)
      else open.set(from, left)
    })
    if (count > ofOneAddress) socket.destroy()
  })
}

/** The methods by which the engines' `http` backend locks unless it is told others, and the HTTP methods of our routes for that. */
const lockMethods: Readonly<Record<string, string>> = { LOCK: "PUT", UNLOCK: "DELETE" }

const limits = {
  keepAliveTimeout: 65_000,
  headersTimeout,
  requestTimeout,
  connectionsCheckingInterval: 2000,
  maxHeaderSize: headerLimitBytes
}

/** Returns the server, with the limits of all its connections. */
const limited = (server: Server, { atOnce, ofOneAddress }: typeof Connections.Service): Server => {
  server.maxConnections = atOnce
  server.setTimeout(silentConnection)
  server.on("clientError", refuse)
  shareConnections(server, ofOneAddress)
  server.on("request", (request) => {
    const { method = "", url = "" } = request
    if (url.startsWith(statesPath)) request.method = lockMethods[method] ?? method // the router knows only HTTP's own
  })
  return server
}

/** The requests of one connection: whether an answer is on its way, and those that wait until its client has it. */
interface Turns {
  busy: boolean
  readonly waiting: Array<() => void>
}

const turns = new WeakMap<Socket, Turns>()
const next = (turn: Turns) => {
  turn.busy = false
  turn.waiting.shift()?.()
}

/**
 * Serves the requests of one connection one after the other, so that it holds one answer at a time. Returns false if the connection closed
 * meanwhile; we close it ourselves if it asks too much ahead.
 */
const inTurn = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest) {
  const { socket } = NodeHttpServerRequest.toIncomingMessage(request)
  const turn = turns.get(socket) ?? { busy: false, waiting: [] }
  turns.set(socket, turn)
  if (turn.waiting.length === waitingOfConnection) socket.destroy()
  else if (turn.busy) yield* Effect.callback<void>((resume) => void turn.waiting.push(() => resume(Effect.void)))
  if (socket.destroyed) {
    next(turn) // none of the waiting requests is answered any more
    return false
  }
  turn.busy = true
  NodeHttpServerRequest.toServerResponse(request).once("close", () => next(turn))
  return true
})

const isNoRoute = (error: unknown): boolean => HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound"

const formOf = (url: string) => url.startsWith("/api/v2/") ? jsonApiErrors : problem

const toNobody = HttpServerResponse.empty()

/** The answer to a request that no route is asked for. */
const unrouted = ({ method, url }: HttpServerRequest.HttpServerRequest, refused: Refused) =>
  Effect.flatMap(
    newId("req"),
    (requestId) =>
      Effect.succeed(HttpServerResponse.setHeader(formOf(url)(refused), "x-request-id", requestId)).pipe(
        logged("a request was answered", () => ({ method, route: "none", requestId }))
      )
  )

/**
 * Wraps every route. An address that is none, such as one with a broken percent sign or a port that there is not, gets the same answer as
 * every other wrong address. No route takes all addresses: such a one would take HEAD from those of GET.
 */
export const guarded = HttpRouter.middleware(
  Effect.map(Commits, ({ stopped }) => (handler) =>
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      if (!(yield* inTurn(request))) return toNobody
      const { url } = request
      if (url.length > urlLimit) {
        return yield* unrouted(
          request,
          new Refused({
            status: 414,
            error: "address-too-long",
            message: `The address has more than ${urlLimit} characters; make it shorter.`
          })
        )
      }
      return URL.canParse(url, "http://localhost") ? yield* handler : yield* unrouted(request, notFound())
    }).pipe(
      Effect.catchIf(isNoRoute, () => Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => unrouted(request, notFound()))),
      // Node would keep the connection of an answer that ends while it stops, and the stop would wait for it.
      Effect.flatMap((answer) => Effect.map(stopped, (last) => HttpServerResponse.setHeaders(answer, last ? lastGuards : guards)))
    )),
  { global: true }
)

/** Said also to Node, whose own least version may be lowered from outside. */
const secure = { minVersion: "TLSv1.2" } as const

/** Returns a server that speaks TLS with the certificate in these files, also once others are in them, and what it shows. */
const secureServer = Effect.fnUntraced(function*(files: TlsFiles) {
  let pair = yield* firstPair(files)
  const server = createSecureServer({ ...limits, ...secure, ...pair, handshakeTimeout: headersTimeout })
  // Node itself gives up no connection whose handshake takes too long: it leaves that to whoever listens for errors of clients, and nothing
  // can be answered on it.
  server.prependListener("tlsClientError", (_, socket) => void socket.destroy())
  yield* Effect.forkScoped(following(files, pair, (next) => {
    server.setSecureContext({ ...secure, ...next })
    pair = next
  }))
  return { server, shown: () => pair }
})

const plainServer = Effect.sync(() => ({ server: createServer(limits), shown: () => undefined }))

export const listen = ({ address, port, tls }: ServerOptions) =>
  Layer.unwrap(
    Effect.gen(function*() {
      const { server, shown } = yield* tls === undefined ? plainServer : secureServer(tls)
      const guardedServer = limited(server, yield* Connections)
      // After the grace nothing is answered any more: what is sent on a connection that is left would wait for the end of the process.
      const closing = Effect.addFinalizer(() => Effect.sync(() => guardedServer.closeAllConnections()))
      return Layer.effectDiscard(closing).pipe(
        Layer.provideMerge(NodeHttpServer.layer(() => withoutUpgrades(guardedServer), {
          port,
          ...(address !== undefined && { host: address }),
          gracefulShutdownTimeout: Duration.seconds(2)
        })),
        Layer.merge(Layer.succeed(ShownPair, shown))
      )
    })
  ).pipe(
    Layer.catchTag("ServeError", ({ cause }) =>
      Layer.effectContext(Effect.fail(
        new ServerError({
          message: codeOf(cause) === "EADDRINUSE"
            ? `Port ${port} is in use; stop what listens there or choose another one with --port.`
            : `The server cannot listen ${address === undefined ? "" : `at ${address} `}on port ${port} (${errorInWords(cause)}).`
        })
      )))
  )
