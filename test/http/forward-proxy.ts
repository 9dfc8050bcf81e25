// A forward proxy that resolves every name to this machine, and remembers what it was asked for.
// Used by test/http/connections.test.ts and test/cli/server/server-client.test.ts; test/kubernetes/connections.test.ts uses only its `listening`.
import { Effect, type Scope } from "effect"
import { createServer, request, type RequestListener, type Server } from "node:http"
import { createServer as createSecureServer, type Server as SecureServer } from "node:https"
import { type AddressInfo, connect } from "node:net"
import { TLSSocket } from "node:tls"

export const listening = (server: Server | SecureServer) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) =>
      void server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
    ),
    () =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )

export interface ForwardProxy {
  readonly url: string
  /** Each request: `CONNECT host:port`, or the method and the whole URL. */
  readonly asked: ReadonlyArray<string>
  /** Whose certificates it was shown by clients that asked for a tunnel. */
  readonly shown: ReadonlyArray<string>
  /** While true, it takes requests for tunnels and never answers them. */
  silent: boolean
}

const proxyOf = Effect.fnUntraced(function*(
  scheme: string,
  made: (listener: RequestListener) => Server | SecureServer
): Effect.fn.Return<ForwardProxy, never, Scope.Scope> {
  const asked: Array<string> = []
  const shown: Array<string> = []
  const server = made((incoming, answer) => {
    const { pathname, port } = new URL(incoming.url ?? "")
    asked.push(`${incoming.method} ${incoming.url}`)
    incoming.pipe(
      request({ host: "127.0.0.1", port, path: pathname, method: incoming.method ?? "GET", headers: incoming.headers }, (response) => {
        answer.writeHead(response.statusCode ?? 502, response.headers)
        response.pipe(answer)
      })
    )
  })
  server.on("connect", (incoming, client) => {
    asked.push(`CONNECT ${incoming.url}`)
    const certificate = client instanceof TLSSocket ? client.getPeerX509Certificate() : undefined
    if (certificate !== undefined) shown.push(certificate.subject)
    if (proxy.silent) return void client.on("error", () => client.destroy())
    const through = connect(Number(incoming.url?.split(":").at(-1)), "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n")
      through.pipe(client).pipe(through)
    })
    for (const socket of [through, client]) socket.on("error", () => void through.destroy())
  })
  const proxy: ForwardProxy = { url: `${scheme}://127.0.0.1:${yield* listening(server)}`, asked, shown, silent: false }
  return proxy
})

export const forwardProxy = proxyOf("http", createServer)

/** A forward proxy that clients reach by TLS, and that takes whatever certificate they show. */
export const secureForwardProxy = (identity: { readonly cert: string; readonly key: string }) =>
  proxyOf("https", (listener) => createSecureServer({ ...identity, requestCert: true, rejectUnauthorized: false }, listener))
