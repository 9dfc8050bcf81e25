// What the values say about the network: the proxy, trusted roots, the client certificate, mirrors of providers, and policies for tasks.
// Invariant: nothing in the cluster is asked through the proxy. Trusted roots are added to those of an image and never replace them.
// Used by core/resolve/resolve, core/resolve/containers, core/network/pool-server and cli/values/write-overlay.
import type { ProviderMirrors } from "../../schema/values/provider-mirrors.ts"
import type { Values } from "../../schema/values/values.ts"
import { place } from "../task/places.ts"
import type { Texts } from "./plain.ts"

type Network = Pick<Values["global"], "proxy" | "tls">

/** Hosts that are never asked through the proxy. Kubernetes replaces the last one by the address of the API server. */
const neverProxied = ["localhost", "127.0.0.1", "::1", "kubernetes.default.svc", ".svc", ".cluster.local", "$(KUBERNETES_SERVICE_HOST)"]

/** Returns the variables that have a value in upper and in lower case, because programs read one or the other. */
const bothCases = (variables: Texts): Texts =>
  Object.fromEntries(Object.entries(variables).flatMap(([name, value]) => value === "" ? [] : [[name, value], [name.toLowerCase(), value]]))

/**
 * Returns the host of a URL if the name is one of the cluster's short names: without a dot, or NAME.NAMESPACE. With https, a name of two
 * parts may be one of the internet, such as example.com.
 */
export const shortClusterHost = (url: string): string | undefined =>
  /^https?:\/\/([^.:/[\]]+|(?<=^http:\/\/)[^.:/[\]]+\.[^.:/[\]]+)(?=[:/]|$)/u.exec(url)?.[1]

/** Returns the variables of the proxy. `url` is that of the server, which is asked without the proxy if it has a short name of the cluster. */
export const proxyVariables = ({ enabled, httpProxy, httpsProxy, noProxy }: Network["proxy"], url: string): Texts => {
  if (!enabled || (httpProxy === "" && httpsProxy === "" && noProxy === "")) return {} // noProxy alone is for a proxy that extraEnv or extraEnvFrom names
  const server = shortClusterHost(url)
  const direct = [...noProxy.split(/[\s,]+/u), ...neverProxied, ...(server === undefined ? [] : [server])]
  return bothCases({ HTTP_PROXY: httpProxy, HTTPS_PROXY: httpsProxy, NO_PROXY: [...new Set(direct.filter((_) => _ !== ""))].join(",") })
}

/** Certificates to trust beside those of the images. */
export interface TrustConfig {
  readonly from: { readonly kind: "ConfigMap" | "Secret"; readonly name: string; readonly key: string }
  /** What to put into that ConfigMap. Absent if the ConfigMap or Secret is somebody else's. */
  readonly bundle?: string
}

/** Returns which certificates to trust, or undefined if the values give none. `name` is that of the installation. */
export const trustOf = ({ caBundle, caBundleConfigMap, caBundleSecret }: Network["tls"], name: string): TrustConfig | undefined => {
  if (caBundle !== "") return { from: { kind: "ConfigMap", name: `${name}-ca-bundle`, key: "ca-bundle.crt" }, bundle: caBundle }
  if (caBundleConfigMap.name !== "") return { from: { kind: "ConfigMap", ...caBundleConfigMap } }
  return caBundleSecret.name === "" ? undefined : { from: { kind: "Secret", ...caBundleSecret } }
}

/**
 * Returns the variables that tell Node and Go where further roots are. SSL_CERT_FILE would replace the roots of the image. Go reads every
 * file of every directory in SSL_CERT_DIR beside the image's own bundle, so the first two directories are those that it reads by default
 * (crypto/x509/root_linux.go).
 */
export const trustVariables = (tls: Network["tls"]): { readonly node: Texts; readonly go: Texts } =>
  trustOf(tls, "") === undefined ? { node: {}, go: {} } : {
    node: { NODE_EXTRA_CA_CERTS: `${place.caBundle}/ca.crt` },
    go: { SSL_CERT_DIR: `/etc/ssl/certs:/etc/pki/tls/certs:${place.caBundle}` }
  }

/** The Secret with the certificate that the controller and the worker show to the server. */
export interface ClientCertificateConfig {
  readonly secretName: string
  readonly certKey: string
  readonly keyKey: string
}

export const clientCertificateOf = ({ clientCertSecret: { certKey, keyKey, name } }: Network["tls"]): ClientCertificateConfig | undefined =>
  name === "" ? undefined : { secretName: name, certKey, keyKey }

/** Returns the mirrors of providers, if there are any. The URL of each ends in a slash, because the engines resolve paths against it. */
export const mirrorsOf = (
  { providerFilesystemMirrors: filesystem, providerNetworkMirrors: network }: Values["agent"]
): { readonly mirrors?: ProviderMirrors } =>
  filesystem.length + network.length === 0
    ? {}
    : { mirrors: { filesystem, network: network.map((mirror) => ({ ...mirror, url: mirror.url.replace(/\/*$/u, "/") })) } }

export interface TaskNetworkConfig {
  /** Whether a policy that the values do not make closes all egress. */
  readonly closedElsewhere: boolean
  readonly denyIngress: boolean
  readonly denyPods: boolean
  /** At least one. */
  readonly apiServerPorts: ReadonlyArray<number>
  /** CIDRs of networks that count as private. */
  readonly privateCidrs: ReadonlyArray<string>
  readonly cloudIdentity?: "eks" | "gke"
}

export const taskNetworkOf = ({ cloudIdentity, ...rest }: Values["task"]["networkPolicy"]): TaskNetworkConfig => ({
  ...rest,
  ...(cloudIdentity !== "" && { cloudIdentity })
})
