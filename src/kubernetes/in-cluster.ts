// How to log in to the API server from inside a Pod, by its service account.
// The Pod's authority is read again with its token. One that holds no whole certificate is not used.
// Used by the worker, and by credentials.ts.
import { Config, Effect } from "effect"
import { join } from "node:path"
import { holdsCertificate } from "../schema/kubernetes/pem.ts"
import { bearer, forAMinute, read } from "./credential-cache.ts"
import type { Credentials } from "./credentials.ts"
import { NoCredentials } from "./errors.ts"

const mounted = "/var/run/secrets/kubernetes.io/serviceaccount"

/**
 * Returns the credentials of the Pod that this runs in. `directory` holds `ca.crt`, `token` and, optionally, `namespace`; by default it is
 * where the kubelet mounts the service account, and a projected volume may be anywhere else. Reads KUBERNETES_SERVICE_HOST and
 * KUBERNETES_SERVICE_PORT.
 */
export const inCluster = Effect.fn("Credentials.inCluster")(function*(
  options: { readonly directory?: string | undefined } = {}
): Effect.fn.Return<Credentials, NoCredentials> {
  const directory = options.directory ?? mounted
  const { host, port } = yield* Config.all({
    host: Config.String("KUBERNETES_SERVICE_HOST"),
    port: Config.String("KUBERNETES_SERVICE_PORT")
  }).pipe(
    Effect.mapError(() =>
      new NoCredentials({
        problem: "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not both set",
        next: "run this in a Pod, or give a kubeconfig"
      })
    )
  )
  const authorityFile = join(directory, "ca.crt")
  const authority = Effect.filterOrFail(
    read(authorityFile, "mount a service account there"),
    holdsCertificate, // an empty `ca` would have Node trust its public roots for the API server
    () =>
      new NoCredentials({ problem: `Cannot use ${authorityFile}: it holds no whole certificate`, next: "mount a service account there" })
  )
  let ca = yield* authority
  /** Reads the authority again, since the cluster may get a new one. If the file has no whole certificate, the old one stays. */
  const renewAuthority = Effect.ignore(Effect.map(authority, (text) => {
    ca = text
  }))
  const namespace = yield* read(join(directory, "namespace"), "").pipe(Effect.orElseSucceed(() => "default"))
  const [headers, refresh] = yield* forAMinute(
    Effect.tap(bearer(join(directory, "token"), "mount a service account token there"), () => renewAuthority)
  )
  yield* headers
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    namespace: namespace.trim(),
    tls: {
      get ca() {
        return ca
      }
    },
    headers,
    refresh
  }
})
