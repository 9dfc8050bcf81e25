// The component `restricted-egress`: no Pod of the two namespaces gets out, but for what is listed.
// Policies add up, so each destination that somebody may want to narrow or widen is a policy of its own.
// Used by generate/components.
import type { V1NetworkPolicy, V1NetworkPolicyEgressRule, V1NetworkPolicyPort } from "@kubernetes/client-node"
import { selectorLabels } from "../../core/manifest/labels.ts"
import { metadataService } from "../../core/manifest/network-policy.ts"
import { objectMetadata } from "../../core/manifest/object-metadata.ts"
import type { ResolvedConfig } from "../../core/resolve.ts"
import type { Component } from "../component.ts"

type Rules = ReadonlyArray<V1NetworkPolicyEgressRule>

const tcp = (port: number): V1NetworkPolicyPort => ({ port, protocol: "TCP" })
const addresses = (...cidrs: ReadonlyArray<string>) => cidrs.map((cidr) => ({ ipBlock: { cidr } }))
const namespaceNamed = (name: string) => ({ matchLabels: { "kubernetes.io/metadata.name": name } })

/** The cluster's DNS, its cache on the node, and what some clouds have in its place. */
const dns: Rules = [{
  to: [{ namespaceSelector: namespaceNamed("kube-system"), podSelector: { matchLabels: { "k8s-app": "kube-dns" } } }, ...addresses("169.254.20.10/32", metadataService.ipv4)],
  ports: [{ port: 53, protocol: "UDP" }, tcp(53)]
}]

const server = (config: ResolvedConfig): Rules => [{
  to: [{ namespaceSelector: namespaceNamed(config.namespace), podSelector: { matchLabels: selectorLabels(config, "server") } }],
  ports: [tcp(8080)]
}]

/** Where AgentTasks with `source.fluxSource` have their artifact from. */
const flux: Rules = [{
  to: [{ namespaceSelector: namespaceNamed("flux-system"), podSelector: { matchLabels: { app: "source-controller" } } }],
  ports: [tcp(9090)]
}]

/** Private networks: an API server is no Pod, and its address is known to nobody but the cluster. */
const apiServer: Rules = [{
  to: [...addresses("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"), { ipBlock: { cidr: "fc00::/7", except: [metadataService.ipv6] } }],
  ports: [tcp(443), tcp(6443)]
}]

/** Of documentation, where nobody is. */
const named: Rules = [{ to: addresses("192.0.2.0/24", "2001:db8::/32"), ports: [tcp(443)] }]

const policy = (config: ResolvedConfig, namespace: string) => (name: string, egress: Rules): V1NetworkPolicy => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: objectMetadata(config, "controller", { name: `${config.name}-${name}`, namespace }),
  spec: { podSelector: {}, policyTypes: ["Egress"], egress: [...egress] }
})

const policies = (config: ResolvedConfig): ReadonlyArray<V1NetworkPolicy> =>
  [config.namespace, config.taskNamespace].map((namespace) => policy(config, namespace)).flatMap((allow) => [
    allow("egress", [...dns, ...server(config), ...flux]),
    allow("egress-api-server", apiServer),
    allow("egress-named", named)
  ])

export const restrictedEgress: Component = {
  name: "restricted-egress",
  does: "Lets no Pod of the two namespaces out but to DNS, the API server, the server of agent-job, Flux's artifacts, and addresses that you name, IPv4 and IPv6.",
  adapt: [
    "Patch the NetworkPolicies agent-job-egress-named with the addresses of your pool, registries and clouds, or of your proxy: without them, tasks reach nothing outside. See kustomize/overlays/production.",
    "Narrow agent-job-egress-api-server from all private networks to what `kubectl get endpointslices kubernetes` shows. DNS is that of kube-system; OpenShift's, for one, is elsewhere.",
    "List it after restrict-metadata, which it makes needless and takes away, since that one would open all the rest."
  ],
  objects: policies,
  ifThere: [{ apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name: "agent-job-metadata-service" }, $patch: "delete" }]
}
