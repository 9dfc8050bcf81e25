// A reverse proxy before the real API server or our own server that injects faults by rule. The programs that use it run unchanged.
// It makes up no state: every answer that it passes on is the upstream's, and `seen` records every fault of its own.
// Used by the tests of this folder.
import { Effect, type Scope } from "effect"
import {
  Agent as HttpAgent,
  createServer as createPlain,
  type IncomingMessage,
  request as plainRequest,
  type RequestOptions,
  type Server,
  type ServerResponse
} from "node:http"
import { Agent as TlsAgent, createServer as createTls, request as tlsRequest } from "node:https"
import type { Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { freePort } from "../free-port.ts"
import { type Asked, askedOf, type Fault, type Rule, script } from "./rule.ts"

export interface Upstream {
  readonly url: string
  readonly ca?: string | Buffer
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  /** Sent with every request that brings no credentials of its own. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface Seen extends Asked {
  readonly atMillis: number
  readonly fault: Fault["does"]
  readonly body: string
  /** The status code of the upstream's answer. 0 while there is none. */
  code: number
}

export interface FaultProxy {
  readonly url: string
  readonly seen: ReadonlyArray<Seen>
  /** Replaces the rules, and counts requests from zero again. */
  readonly rules: (...rules: ReadonlyArray<Rule>) => Effect.Effect<void>
  /** Reports whether every rule is used up. */
  readonly spent: () => boolean
  /** Called when a request was lost, before or after the upstream carried it out, and before its sender can notice. */
  onDrop: (asked: Asked) => void
  /** Stops listening and breaks every connection. `up` listens on the same port again. */
  readonly down: Effect.Effect<void>
  readonly up: Effect.Effect<void>
  /** Changes the address of the upstream, as after a restart. */
  readonly leadTo: (url: string) => Effect.Effect<void>
}

export interface Options {
  readonly upstream: Upstream
  /** The certificate and key to serve TLS with. Without them, the proxy serves plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly seed?: number
  /** Whether `seen` keeps the bodies of requests. Default: true. A long run has no room for them. */
  readonly keepsBodies?: boolean
}

const statusBody = (code: number, reason: string, message: string): string =>
  JSON.stringify({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", code, reason, message })
const goneBody = statusBody(410, "Expired", "The resourceVersion is too old.")

const hopByHop = ["connection", "keep-alive", "transfer-encoding", "host"]
const without = (names: ReadonlyArray<string>, headers: IncomingMessage["headers"]) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)))

class Proxy {
  readonly seen: Array<Seen> = []
  readonly script
  onDrop: (asked: Asked) => void = () => {}
  readonly #options: Options
  upstream: string
  readonly #server: Server
  readonly #agent
  readonly #sockets = new Set<Socket>()
  readonly #port: number

  constructor(options: Options, port: number) {
    this.#port = port
    this.#options = options
    this.script = script(options.seed ?? 1)
    const { ca, cert, key, url } = options.upstream
    this.upstream = url
    this.#agent = url.startsWith("https:")
      ? new TlsAgent({ ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }), keepAlive: true })
      : new HttpAgent({ keepAlive: true })
    const answer = (request: IncomingMessage, response: ServerResponse) =>
      void this.#answer(request, response).catch(() => response.destroy())
    this.#server = options.tls === undefined ? createPlain(answer) : createTls(options.tls, answer)
    for (const event of ["connection", "secureConnection"]) {
      this.#server.on(event, (socket: Socket) => {
        this.#sockets.add(socket)
        socket.on("close", () => this.#sockets.delete(socket))
        socket.on("error", () => {})
      })
    }
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, "127.0.0.1", resolve))
    return `${this.#options.tls === undefined ? "http" : "https"}://127.0.0.1:${this.#port}`
  }

  async hangUp(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  async close(): Promise<void> {
    await this.hangUp()
    this.#agent.destroy()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Array<Buffer> = []
    for await (const piece of request) pieces.push(piece)
    const body = Buffer.concat(pieces)
    const asked = askedOf(request.method ?? "", request.url ?? "", body.toString("utf8"))
    const fault = this.script.faultOf(asked)
    const seen: Seen = {
      ...asked,
      atMillis: performance.now(),
      fault: fault.does,
      body: this.#options.keepsBodies === false ? "" : body.toString("utf8"),
      code: 0
    }
    this.seen.push(seen)
    switch (fault.does) {
      case "dropBefore":
        return this.#drop(asked, response)
      case "status":
        return refuse(
          response,
          fault.code,
          statusBody(fault.code, fault.reason ?? "", fault.message ?? "made up by the fault proxy"),
          fault.headers
        )
      case "gone":
        return fault.as === "answer"
          ? refuse(response, 410, goneBody)
          : void response.writeHead(200, { "content-type": "application/json" }).end(
            `${JSON.stringify({ type: "ERROR", object: JSON.parse(goneBody) })}\n`
          )
      case "delay":
        await sleep(fault.millis)
        break
      case "meddle":
        await this.#meddle(asked)
        break
      case "stale":
        if (asked.path.includes("sendInitialEvents")) {
          return refuse(response, 422, statusBody(422, "Invalid", "sendInitialEvents is forbidden"))
        }
        break
    }
    if (response.destroyed) return
    const path = fault.does === "stale" && asked.verb === "list"
      ? `${asked.path}&resourceVersion=${fault.resourceVersion}&resourceVersionMatch=Exact`
      : asked.path
    const sent = this.#send(request.method ?? "", path, without(hopByHop, request.headers), body)
    response.on("close", () => sent.destroy())
    const answer = await answerOf(sent)
    seen.code = answer.statusCode ?? 0
    if (fault.does === "dropAfter") {
      await answer.resume().toArray()
      return this.#drop(asked, response)
    }
    response.writeHead(seen.code, without(fault.does === "replay" ? [...hopByHop, "content-length"] : hopByHop, answer.headers))
    response.flushHeaders()
    await passOn(answer, response, fault)
  }

  #drop(asked: Asked, response: ServerResponse): void {
    this.onDrop(asked)
    response.socket?.resetAndDestroy()
  }

  #send(method: string, path: string, headers: RequestOptions["headers"], body: Buffer | string) {
    const { hostname, port, protocol } = new URL(this.upstream)
    const options: RequestOptions = {
      method,
      hostname,
      port,
      path,
      headers: { ...this.#options.upstream.headers, ...headers },
      agent: this.#agent
    }
    const sent = (protocol === "https:" ? tlsRequest : plainRequest)(options)
    sent.on("error", () => {})
    return sent.end(body)
  }

  async #meddle({ path, subresource }: Asked): Promise<void> {
    const object = new URL(path, "http://any").pathname.replace(new RegExp(`/${subresource || "$"}$`, "u"), "")
    const patch = JSON.stringify({ metadata: { annotations: { "test/meddled": String(performance.now()) } } })
    const answer = await answerOf(
      this.#send("PATCH", object, { "content-type": "application/merge-patch+json", "content-length": Buffer.byteLength(patch) }, patch)
    )
    await answer.resume().toArray()
  }
}

const answerOf = (sent: ReturnType<typeof plainRequest>) =>
  new Promise<IncomingMessage>((resolve, reject) =>
    sent.on("response", resolve).on("error", reject).on("close", () => reject(new Error("closed")))
  )

const refuse = (response: ServerResponse, code: number, body: string, headers: Readonly<Record<string, string>> = {}): void =>
  void response.writeHead(code, { "content-type": "application/json", ...headers }).end(body)

/** Waits until the response's reader has read enough for more to be written, or is gone. */
const room = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done).off("close", done)
      resolve()
    }
    response.on("drain", done).on("close", done)
  })

/** Passes the answer's body on, changed as the fault says. */
const passOn = async (answer: IncomingMessage, response: ServerResponse, fault: Fault): Promise<void> => {
  let left = fault.does === "truncate" || fault.does === "stall" ? fault.bytes : Infinity
  if (fault.does === "replay") return replay(answer, response, fault)
  for await (const piece of answer as AsyncIterable<Buffer>) {
    if (fault.does === "drip") {
      for (let at = 0; at < piece.length && !response.destroyed; at += fault.bytes) {
        response.write(piece.subarray(at, at + fault.bytes))
        await sleep(fault.everyMillis)
      }
      continue
    }
    const part = piece.subarray(0, Math.min(left, piece.length))
    left -= part.length
    if (part.length > 0 && !response.write(part)) await room(response)
    if (left <= 0) break
  }
  if (left === Infinity) return void response.end()
  if (fault.does === "stall") return // until its reader gives up
  await sleep(10) // so that what was written is sent first
  response.socket?.resetAndDestroy()
}

/** Splits bytes into the whole events and what is left. An event is a line of JSON, or a protobuf frame after its length in four bytes. */
const eventsIn = (bytes: Buffer, isProtobuf: boolean): { readonly events: ReadonlyArray<Buffer>; readonly left: Buffer } => {
  const events: Array<Buffer> = []
  let at = 0
  for (;;) {
    const end = !isProtobuf ? bytes.indexOf("\n", at) + 1 : bytes.length - at < 4 ? 0 : at + 4 + bytes.readUInt32BE(at)
    if (end === 0 || end > bytes.length) return { events, left: bytes.subarray(at) }
    events.push(bytes.subarray(at, end))
    at = end
  }
}

/** Reports whether an event is a bookmark. In both encodings the type is at the event's beginning. */
const isBookmark = (event: Buffer): boolean => event.subarray(0, 32).includes("BOOKMARK")

const replay = async (
  answer: IncomingMessage,
  response: ServerResponse,
  { lateMillis = 0, times }: Extract<Fault, { readonly does: "replay" }>
): Promise<void> => {
  const isProtobuf = answer.headers["content-type"]?.includes("protobuf") === true
  const later = (write: () => void) => void setTimeout(write, lateMillis) // in their order, because all wait for the same time
  let open: Buffer = Buffer.alloc(0)
  for await (const piece of answer as AsyncIterable<Buffer>) {
    const { events, left } = eventsIn(Buffer.concat([open, piece]), isProtobuf)
    open = left
    for (const event of events) {
      later(() => void response.write(isBookmark(event) ? event : Buffer.concat(Array<Buffer>(times).fill(event))))
    }
  }
  later(() => response.end())
}

/** Starts a proxy that serves until the scope closes. */
export const faultProxy = (options: Options): Effect.Effect<FaultProxy, never, Scope.Scope> =>
  Effect.gen(function*() {
    const port = yield* freePort // the proxy comes back to this port after an outage
    const proxy = yield* Effect.acquireRelease(Effect.sync(() => new Proxy(options, port)), (proxy) => Effect.promise(() => proxy.close()))
    const url = yield* Effect.promise(() => proxy.listen())
    return {
      url,
      seen: proxy.seen,
      rules: (...rules) => Effect.sync(() => proxy.script.replace(rules)),
      spent: proxy.script.isOver,
      set onDrop(told) {
        proxy.onDrop = told
      },
      get onDrop() {
        return proxy.onDrop
      },
      down: Effect.promise(() => proxy.hangUp()),
      up: Effect.asVoid(Effect.promise(() => proxy.listen())),
      leadTo: (url) =>
        Effect.sync(() => {
          proxy.upstream = url
        })
    }
  })
