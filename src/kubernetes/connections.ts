// The connections of the Kubernetes client: HTTP/1.1, kept open while they are used, with the authority that the credentials have now.
// Used by kubernetes/client alone.
import { HttpAgent, layerNodeHttpNoAgent, makeAgent } from "@effect/platform-node/NodeHttpClient"
import { Effect, Layer } from "effect"
import type { Credentials, Tls } from "./credentials.ts"

/**
 * More connections than a controller uses at once, so that calls which hang keep no other waiting, least of all the renewal of the leader
 * Lease: 3 watches, 16 passes, 8 assignments, 8 cancellations and that renewal are 36.
 */
const mostConnections = 64
/**
 * How long a connection stays open that nobody uses, as long as with Node's own agent. Each keeps the first request that was sent over it in
 * memory, with what else has a share in the buffer of its body.
 */
const idleMillis = 5_000

/** Node reads the agent's options for each request, and uses no connection again that was opened with another authority. */
const renewingAuthority = (tls: Tls) => (agent: HttpAgent["Service"]): HttpAgent["Service"] => {
  Object.defineProperty(agent.https.options, "ca", { enumerable: true, get: () => tls.ca })
  return agent
}

/**
 * Connections by Node's own HTTP/1.1. The layer is `fresh`, since otherwise all clients of the program would share one agent, certificates
 * included. It never uses HTTP/2: when a stop aborts a request, Node 24 may loop in nghttp2 for ever (Http2Session::SendPendingData) and
 * take all memory. It does not use undici, whose parser is 16 MiB of WebAssembly.
 */
export const connections = ({ tls }: Credentials) =>
  Layer.fresh(
    layerNodeHttpNoAgent.pipe(
      Layer.provide(
        Layer.effect(
          HttpAgent,
          Effect.map(makeAgent({ ...tls, keepAlive: true, maxSockets: mostConnections, timeout: idleMillis }), renewingAuthority(tls))
        )
      )
    )
  )
