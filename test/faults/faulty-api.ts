// Puts a fault proxy before the API server of KUBECONFIG. The controller, the worker and a client find the proxy by a kubeconfig.
// The proxy may do everything there, and requests through it need no credentials.
// Used by the *.cluster.test.ts and *.faults.test.ts files of this folder.
import { ConfigProvider, Context, Effect, Layer, type Scope } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import { authority } from "../http/certificates.ts"
import { temporaryFolder } from "../temporary-folder.ts"
import { type FaultProxy, faultProxy, type Options } from "./proxy.ts"

export interface FaultyApi extends FaultProxy {
  /** The path of a kubeconfig that leads to the proxy. */
  readonly kubeconfig: string
  /** A client whose requests go through the proxy. */
  readonly client: Kubernetes["Service"]
  /** Configuration in which KUBECONFIG leads to the proxy. */
  readonly found: Layer.Layer<never>
}

export const faultyApi = (options: Pick<Options, "seed" | "keepsBodies"> = {}): Effect.Effect<FaultyApi, never, Scope.Scope> =>
  Effect.gen(function*() {
    const place = yield* temporaryFolder("faults")
    const { server, tls: { ca, cert, key }, ...credentials } = yield* Effect.orDie(fromKubeconfig())
    const headers = yield* Effect.orDie(credentials.headers)
    const authorityOfProxy = authority(place)
    const proxy = yield* faultProxy({
      upstream: { url: server, headers, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) },
      tls: authorityOfProxy.sign("proxy"),
      ...options
    })
    const kubeconfig = join(place, "kubeconfig")
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        clusters: [{ name: "faulty", cluster: { server: proxy.url, "certificate-authority": authorityOfProxy.file } }],
        users: [{ name: "nobody", user: {} }],
        contexts: [{ name: "faulty", context: { cluster: "faulty", user: "nobody" } }],
        "current-context": "faulty"
      })
    )
    const context = yield* Effect.orDie(Layer.build(Kubernetes.layer(fromKubeconfig({ path: kubeconfig }))))
    return Object.assign(proxy, {
      kubeconfig,
      client: Context.get(context, Kubernetes),
      found: ConfigProvider.layer(ConfigProvider.fromUnknown({ KUBECONFIG: kubeconfig }))
    })
  })
