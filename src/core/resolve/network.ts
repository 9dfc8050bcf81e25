// What the values say of the network: the proxy's variables, whom to trust, what to show the server, where providers come from.
// Invariant: what is the cluster's own is never asked through the proxy; roots are added to those of an image, never put in their place.
// Used by core/resolve and core/resolve/containers.
import type { ProviderMirrors } from "../../schema/provider-mirrors.ts"
import type { Values } from "../../schema/values.ts"
import { place } from "../manifest/places.ts"

type Variables = Readonly<Record<string, string>>
type Network = Pick<Values["global"], "proxy" | "tls">

/** Kubernetes puts the address of the API server in the place of the last one. */
const neverProxied = ["localhost", "127.0.0.1", "::1", "kubernetes.default.svc", ".svc", ".cluster.local", "$(KUBERNETES_SERVICE_HOST)"]

/** Programs read the one or the other spelling. */
const bothCases = (variables: Variables): Variables =>
  Object.fromEntries(Object.entries(variables).flatMap(([name, value]) => value === "" ? [] : [[name, value], [name.toLowerCase(), value]]))

/** `url`: of the server. A name without a dot is one of the cluster. */
export const proxyVariables = ({ enabled, httpProxy, httpsProxy, noProxy }: Network["proxy"], url: string): Variables => {
  if (!enabled || (httpProxy === "" && httpsProxy === "")) return {}
  const server = /^https?:\/\/([^.:/[\]]+)(?=[:/]|$)/u.exec(url)?.[1]
  const direct = [...noProxy.split(/[\s,]+/u), ...neverProxied, ...(server === undefined ? [] : [server])]
  return bothCases({ HTTP_PROXY: httpProxy, HTTPS_PROXY: httpsProxy, NO_PROXY: [...new Set(direct.filter((_) => _ !== ""))].join(",") })
}

/** Certificates to trust beside those of the images. */
export interface TrustConfig {
  readonly from: { readonly kind: "ConfigMap" | "Secret"; readonly name: string; readonly key: string }
  /** To be put into that ConfigMap; absent when it is somebody else's. */
  readonly bundle?: string
}

/** `name`: of the installation. */
export const trustOf = ({ caBundle, caBundleConfigMap, caBundleSecret }: Network["tls"], name: string): TrustConfig | undefined => {
  if (caBundle !== "") return { from: { kind: "ConfigMap", name: `${name}-ca-bundle`, key: "ca-bundle.crt" }, bundle: caBundle }
  if (caBundleConfigMap.name !== "") return { from: { kind: "ConfigMap", ...caBundleConfigMap } }
  return caBundleSecret.name === "" ? undefined : { from: { kind: "Secret", ...caBundleSecret } }
}

/**
 * Where Node looks for further roots, and Go. SSL_CERT_FILE would replace the roots of the image; Go reads every file of every directory in
 * SSL_CERT_DIR beside the image's own bundle, so the first two are those that it reads unasked (crypto/x509/root_linux.go).
 */
export const trustVariables = (tls: Network["tls"]): { readonly node: Variables; readonly go: Variables } =>
  trustOf(tls, "") === undefined ? { node: {}, go: {} } : {
    node: { NODE_EXTRA_CA_CERTS: `${place.caBundle}/ca.crt` },
    go: { SSL_CERT_DIR: `/etc/ssl/certs:/etc/pki/tls/certs:${place.caBundle}` }
  }

/** The Secret with what controller and worker show to the server. */
export interface ClientCertificateConfig {
  readonly secretName: string
  readonly certKey: string
  readonly keyKey: string
}

export const clientCertificateOf = ({ clientCertSecret: { certKey, keyKey, name } }: Network["tls"]): ClientCertificateConfig | undefined =>
  name === "" ? undefined : { secretName: name, certKey, keyKey }

/** The engines resolve the paths of a mirror against its URL, so it ends in a slash. */
export const mirrorsOf = (
  { providerFilesystemMirrors: filesystem, providerNetworkMirrors: network }: Values["agent"]
): { readonly mirrors?: ProviderMirrors } =>
  filesystem.length + network.length === 0
    ? {}
    : { mirrors: { filesystem, network: network.map((mirror) => ({ ...mirror, url: mirror.url.replace(/\/*$/u, "/") })) } }

export interface TaskNetworkConfig {
  /** By a policy that no value makes. */
  readonly closedElsewhere: boolean
  readonly denyIngress: boolean
  readonly denyPods: boolean
  readonly cloudIdentity?: "eks" | "gke"
}

export const taskNetworkOf = ({ cloudIdentity, ...rest }: Values["task"]["networkPolicy"]): TaskNetworkConfig => ({
  ...rest,
  ...(cloudIdentity !== "" && { cloudIdentity })
})
