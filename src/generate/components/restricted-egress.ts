// The component `restricted-egress`: the Pods of the two namespaces reach only the listed destinations.
// Policies add up, so each destination that somebody may want to narrow or widen is a policy of its own.
// Used by generate/components.
import type { V1NetworkPolicy, V1NetworkPolicyEgressRule } from "@kubernetes/client-node"
import { objectMetadata } from "../../core/manifest/object-metadata.ts"
import { addresses, dnsOutside, dnsService, tcp } from "../../core/network/network-addresses.ts"
import { permissivePolicies, toApiServer, toFlux, toServer } from "../../core/network/network-policy.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import type { Component, ObjectPatch } from "../files/component.ts"

type Rules = ReadonlyArray<V1NetworkPolicyEgressRule>

/** The cluster's DNS, its cache on the node, and what some clouds have in its place. */
const dns = ({ taskNetwork: { privateCidrs } }: ResolvedConfig): Rules => [
  {
    to: [{
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } },
      podSelector: { matchExpressions: [{ key: "k8s-app", operator: "In", values: ["kube-dns", "node-local-dns"] }] } // Cilium redirects to the second
    }],
    ports: [{ port: 53, protocol: "UDP" }, tcp(53)]
  },
  dnsService(privateCidrs),
  dnsOutside
]

/** Addresses that are reserved for documentation, where nothing answers: users put their own in their place. */
const named: Rules = [{ to: addresses("192.0.2.0/24", "2001:db8::/32"), ports: [tcp(443)] }]

const policy = (config: ResolvedConfig, namespace: string) => (name: string, egress: Rules): V1NetworkPolicy => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: objectMetadata(config, "controller", { name: `${config.name}-${name}`, namespace }),
  spec: { podSelector: {}, policyTypes: ["Egress"], egress: [...egress] }
})

const policies = (config: ResolvedConfig): ReadonlyArray<V1NetworkPolicy> =>
  [config.namespace, config.taskNamespace].map((namespace) => policy(config, namespace)).flatMap((allow) => [
    allow("egress", [...dns(config), ...toServer(config), ...toFlux]),
    allow("egress-api-server", toApiServer(config)),
    allow("egress-named", named)
  ])

/** Returns a patch that deletes a policy which would open more. */
const without = (name: string): ObjectPatch => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name: `agent-job-${name}` },
  $patch: "delete"
})

export const restrictedEgress: Component = {
  name: "restricted-egress",
  does:
    "Lets no Pod of the two namespaces out but to DNS, the API server, the server of agent-job, Flux's artifacts, and addresses that you name, IPv4 and IPv6.",
  adapt: [
    "Patch the NetworkPolicies agent-job-egress-named with the addresses of your pool, registries and clouds, or of your proxy: without them, tasks reach nothing outside. See kustomize/overlays/production.",
    "Replace what agent-job-egress-api-server allows, all private networks and 198.18.0.0/15 and 240.0.0.0/4, by what `kubectl get endpointslices kubernetes` shows: where that is a public address, nothing starts before; elsewhere it closes the rest.",
    "DNS is the Pods of kube-system with label k8s-app: kube-dns or node-local-dns, and port 53 of private networks, for a cache on the node that answers at the address of the Service; OpenShift's Pods listen at 5353, and want a rule of yours, as does a cache of GKE without Dataplane V2 whose Services are in 34.118.224.0/20.",
    "List it after restrict-metadata, which it makes needless and takes away, since that one would open all the rest."
  ],
  layer: { task: { networkPolicy: { closedElsewhere: true } } },
  objects: policies,
  ifThere: permissivePolicies.map(without)
}
