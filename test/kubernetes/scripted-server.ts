// An HTTP server on loopback that answers with what a test puts in its script, and remembers what it was asked.
// It knows nothing of Kubernetes; the *.cluster.test.ts files use the real API server.
// Used by the tests of the client and of the CLI, and by test/faults/proxy.test.ts.
import { Effect, type Scope } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage["headers"]
  readonly body: string
}

/** One answer. "reset" drops the connection, "silence" never answers, and a function does what it likes. */
export type Answer =
  | { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: unknown }
  | "reset"
  | "silence"
  | ((response: ServerResponse) => void)

export class ScriptedServer {
  /** The next answers, in order. When none is left, `route` answers, or `otherwise` where there is no `route`. */
  readonly script: Array<Answer> = []
  otherwise: Answer = { status: 200, body: {} }
  /** Answers by the path of the URL, without its query. */
  route: ((path: string) => Answer) | undefined
  readonly asked: Array<Asked> = []
  readonly connections = new Set<unknown>()
  readonly #server = createServer((request, response) => void this.#answer(request, response))

  static readonly make: Effect.Effect<{ readonly server: ScriptedServer; readonly url: string }, never, Scope.Scope> = Effect.gen(
    function*() {
      const server = yield* Effect.acquireRelease(
        Effect.sync(() => new ScriptedServer()),
        (server) => Effect.promise(() => server.#close())
      )
      return { server, url: yield* Effect.promise(() => server.#listen()) }
    }
  )

  async #listen(): Promise<string> {
    this.#server.on("connection", (socket) => {
      this.connections.add(socket)
      socket.on("close", () => this.connections.delete(socket))
    })
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }
  async #close() {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
  async #answer(request: IncomingMessage, response: ServerResponse) {
    let body = ""
    for await (const chunk of request) body += chunk
    this.asked.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body })
    const answer = this.script.shift() ?? this.route?.((request.url ?? "").split("?")[0] ?? "") ?? this.otherwise
    if (answer === "silence") return
    if (answer === "reset") return void request.socket.destroy()
    if (typeof answer === "function") return answer(response)
    response.writeHead(answer.status ?? 200, { "content-type": "application/json", ...answer.headers }).end(
      JSON.stringify(answer.body ?? {})
    )
  }
}
