// Where the API server is and how to log in to it: from inside a Pod, or from a kubeconfig.
// No credential is ever part of an error.
// Given to client.ts by the controller, the worker and the command line.
import { Config, Effect, Option } from "effect"
import type { KubeconfigUnusable, NoCredentials } from "./errors.ts"
import { inCluster } from "./in-cluster.ts"
import { choosesCluster, fromKubeconfig, type KubeconfigOptions } from "./kubeconfig.ts"

/** TLS material for every connection; PEM, not base64. */
export interface Tls {
  readonly ca?: string | Buffer
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  readonly servername?: string
  readonly rejectUnauthorized?: boolean
}

export interface Credentials {
  /** Base URL, such as https://10.0.0.1:443. */
  readonly server: string
  /** The namespace to use when nothing else says one. */
  readonly namespace: string
  /**
   * To be read for each new connection: in a Pod, `ca` follows its file whenever `headers` are read anew. Those of a kubeconfig are read
   * once: a client certificate that rotates needs a new process.
   */
  readonly tls: Tls
  /** The headers to send now; cheap, since they are cached for up to a minute. */
  readonly headers: Effect.Effect<Readonly<Record<string, string>>, NoCredentials>
  /** Forgets the cached headers, and reads a kubeconfig again. Called after a 401. */
  readonly refresh: Effect.Effect<void>
}

interface DiscoverOptions extends KubeconfigOptions {
  readonly directory?: string | undefined
  /** Whether ~/.kube/config comes before the account of the Pod, as for kubectl. Only for people: no file may lead a controller elsewhere. */
  readonly homeFirst?: boolean
}

/** Returns in-cluster credentials when this runs in a Pod and no kubeconfig or context is asked for; else the kubeconfig's. */
export const discover = Effect.fn("Credentials.discover")(function*(
  { homeFirst = false, ...options }: DiscoverOptions = {}
): Effect.fn.Return<Credentials, NoCredentials | KubeconfigUnusable> {
  const inPod = yield* Config.String("KUBERNETES_SERVICE_HOST").pipe(Effect.option)
  const asked = options.path !== undefined || options.context !== undefined ||
    Option.isSome(yield* Config.String("KUBECONFIG").pipe(Effect.option))
  return yield* Option.isSome(inPod) && !asked && !(homeFirst && (yield* choosesCluster)) ? inCluster(options) : fromKubeconfig(options)
})
