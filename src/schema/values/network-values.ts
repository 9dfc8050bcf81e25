// Values for the network of a company: a proxy, certificates of its own, mirrors of providers, and policies for tasks.
// Invariant: no password, token or private key can be given here; each is named by the Secret that has it.
// Used by schema/values/value-sections and core/scheduling/isolation.
import { Schema } from "effect"
import { ObjectKey, Subdomain } from "../names.ts"
import { FilesystemMirror, NetworkMirror } from "./provider-mirrors.ts"
import { matching, orEmpty, section, value } from "./value.ts"

const ProxyUrl = matching(
  /^https?:\/\/[^\s/@]+\/?$/u,
  "a proxy's URL such as http://proxy.example.com:3128, without user and password (those belong in a Secret: see docs/values.md)"
)

export const proxy = section({
  enabled: value(Schema.Boolean, true, "False leaves the proxies below unused."),
  httpProxy: value(
    orEmpty(ProxyUrl),
    "",
    "Proxy for http:// addresses, and of controller and worker without httpsProxy also for https:// ones, in every container as HTTP_PROXY and http_proxy; extraEnv wins."
  ),
  httpsProxy: value(
    orEmpty(ProxyUrl),
    "",
    "Proxy for https:// addresses, in every container as HTTPS_PROXY and https_proxy; extraEnv wins."
  ),
  noProxy: value(
    Schema.String,
    "",
    "Hosts, domains and single addresses that are asked without the proxy, separated by commas; loopback, the API server, .svc, .cluster.local and a server at http://NAME or http://NAME.NAMESPACE always are. Ranges such as 10.0.0.0/8 count in the runner alone, for engines and providers: the controller and the worker want the name or the address of their server."
  )
})

const Certificates = matching(
  /^(?![^]*PRIVATE KEY)(?=[^]*-----BEGIN CERTIFICATE-----)[^]*-----END CERTIFICATE-----\s*$/u,
  "certificates in PEM, from -----BEGIN CERTIFICATE----- on, and no private key"
)

const bundleIn = (kind: string) =>
  section({
    key: value(ObjectKey, "ca-bundle.crt", `Key of the certificates in that ${kind}.`),
    name: value(
      orEmpty(Subdomain),
      "",
      `A ${kind} with certificates as in global.tls.caBundle, in the namespaces of controller and tasks.`
    )
  })

export const tls = section({
  caBundle: value(
    orEmpty(Certificates),
    "",
    "Certificates in PEM that controller, worker and the Go programs of the runner (engine and providers, by SSL_CERT_DIR) trust beside those of their images."
  ),
  caBundleConfigMap: bundleIn("ConfigMap"),
  caBundleSecret: bundleIn("Secret"),
  clientCertSecret: section({
    certKey: value(ObjectKey, "tls.crt", "Key of the certificate in that Secret."),
    keyKey: value(ObjectKey, "tls.key", "Key of the private key in that Secret."),
    name: value(
      orEmpty(Subdomain),
      "",
      "A Secret, in the namespaces of controller and tasks, with the client certificate that controller and worker show to the server of agent.url; the runner never has it."
    )
  })
})

export const mirrors = {
  providerFilesystemMirrors: value(
    Schema.mutable(Schema.Array(FilesystemMirror)),
    [],
    "Directories in the runner that providers come from, each as path and include (patterns such as hashicorp/*; none: every provider); what a mirror includes is never downloaded from its registry."
  ),
  providerNetworkMirrors: value(
    Schema.mutable(Schema.Array(NetworkMirror)),
    [],
    "Mirrors that providers come from, each as url, include (as above) and, if it asks for a token, tokenSecret {name, key} in the namespace of the tasks; asked in this order after the directories."
  )
}

const Port = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65_535 }))

/** The form of a network. It is not a whole family, because a policy can except only a part of it. */
const Cidr = matching(
  /^(\d{1,3}(\.\d{1,3}){3}\/([1-9]|[12]\d|3[0-2])|[\da-fA-F]*:[\da-fA-F:.]*\/([1-9]\d?|1[01]\d|12[0-8]))$/u,
  "a network such as 203.0.113.0/24 or 2001:db8::/32"
)

/** The port of the API server's Service, and the one at which it mostly listens itself. */
export const usualApiServerPorts: Array<number> = [443, 6443]

export const taskNetworkPolicy = section({
  apiServerPorts: value(
    Schema.mutable(Schema.Array(Port)).check(Schema.isMinLength(1)),
    usualApiServerPorts,
    "Ports of private networks that denyPods leaves open, because the API server is there: that of its Service, and the one that `kubectl get endpointslices kubernetes` shows, such as 16443 on MicroK8s and 8443 on minikube."
  ),
  closedElsewhere: value(
    Schema.Boolean,
    false,
    "Says that a NetworkPolicy beside those of the values closes all egress of the tasks' namespace, as component restricted-egress has it: `agent-job doctor` looks for it, and a proof of isolation may rest on it."
  ),
  cloudIdentity: value(
    orEmpty(Schema.Literals(["eks", "gke"])),
    "",
    "Where the Pods of tasks get a cloud identity of their own from, which stays open to them: eks (EKS Pod Identity) or gke (Workload Identity); needs restrictMetadataService or denyPods, which would close it."
  ),
  denyIngress: value(Schema.Boolean, false, "Lets nobody connect to the Pods of tasks, by a NetworkPolicy."),
  denyPods: value(
    Schema.Boolean,
    false,
    "Keeps the Pods of tasks from other Pods, private networks and metadata services, by a NetworkPolicy: they reach DNS, ports 53 and apiServerPorts of private networks, where it and the API server are, the server of agent-job in the installation's namespace or where agent.url names it as NAME.NAMESPACE.svc, Flux's artifacts and the internet. A server elsewhere in private networks is closed to them, unless it has one of these ports; `agent-job doctor` tries it."
  ),
  privateCidrs: value(
    Schema.mutable(Schema.Array(Cidr)),
    [],
    "Networks that denyPods closes as private ones, though their addresses are public, such as those of Pods on EKS with IPv6 (2600:1f13:6c4:a700::/56) and of Pods and Services on some clusters of GKE (34.118.224.0/20)."
  )
})
