// NetworkPolicies that the values ask for: what the Pods of the controller and of tasks may reach, and who may reach those of tasks.
// Invariant: policies add up, so no policy that selects a Pod opens what another policy is meant to keep closed for it.
// Used by core/manifest/installation/install, core/overlay/overlay and generate.
import type { V1LabelSelector, V1NetworkPolicy, V1NetworkPolicyEgressRule, V1NetworkPolicySpec } from "@kubernetes/client-node"
import { selecting, selectorLabels } from "../manifest/labels.ts"
import { objectMetadata } from "../manifest/object-metadata.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { serverPort } from "../task/places.ts"
import { cloudIdentities, dnsInside, dnsOutside, dnsService, everywhere, internet, privateNetworks, tcp } from "./network-addresses.ts"
import { otherServerNamespace } from "./pool-server.ts"

type Rules = ReadonlyArray<V1NetworkPolicyEgressRule>

const namespaceNamed = (name: string): V1LabelSelector => ({ matchLabels: { "kubernetes.io/metadata.name": name } })

/** The server's Pods do not have the name of the installation: beside one that has another name, they keep that of the shipped one. */
const toServerIn = (namespace: string): Rules => [{
  to: [{
    namespaceSelector: namespaceNamed(namespace),
    podSelector: selecting({ "app.kubernetes.io/name": "agent-job", "app.kubernetes.io/component": "server" })
  }],
  ports: [tcp(serverPort)]
}]

export const toServer = ({ namespace }: ResolvedConfig): Rules => toServerIn(namespace)

/** Opens the server in another namespace, which `agent.url` names, to the Pods of tasks. */
const toOtherServer = (config: ResolvedConfig): Rules => {
  const namespace = otherServerNamespace(config)
  return namespace === undefined ? [] : toServerIn(namespace)
}

/** The controller of Flux that serves the artifacts of AgentTasks with `source.fluxSource`. */
export const toFlux: Rules = [{
  to: [{ namespaceSelector: namespaceNamed("flux-system"), podSelector: selecting({ app: "source-controller" }) }],
  ports: [tcp(9090)]
}]

export const toApiServer = ({ taskNetwork: { apiServerPorts, privateCidrs } }: ResolvedConfig): Rules => [
  { to: [...privateNetworks(privateCidrs)], ports: apiServerPorts.map(tcp) } // never without a port, which would be every port
]

type PolicyName = "metadata-service" | "task-egress" | "cloud-identity" | "task-ingress"

/** The name of a policy in the cluster. `metadata-service` opens all but metadata services; `task-egress` is that of denyPods. */
export const policyName = ({ name }: Pick<ResolvedConfig, "name">, policy: PolicyName): string => `${name}-${policy}`

const policy = (config: ResolvedConfig, name: PolicyName, namespace: string, spec: V1NetworkPolicySpec): V1NetworkPolicy => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: objectMetadata(config, "controller", { name: policyName(config, name), namespace }),
  spec
})

const ofComponents = ({ name }: ResolvedConfig, components: ReadonlyArray<"controller" | "task">): V1LabelSelector => ({
  matchExpressions: [
    ...selecting({ "app.kubernetes.io/name": "agent-job", "app.kubernetes.io/instance": name }).matchExpressions,
    { key: "app.kubernetes.io/component", operator: "In", values: [...components] }
  ]
})

/** The policies that open all but what they deny: beside policies that close all egress they would open the rest. */
export const permissivePolicies = ["metadata-service", "task-egress"] satisfies ReadonlyArray<PolicyName>

/** Returns one policy for each namespace. It leaves out tasks that may reach no Pods, because they have a narrower policy of their own. */
const metadataPolicies = (config: ResolvedConfig): ReadonlyArray<V1NetworkPolicy> => {
  if (!config.restrictMetadataService) return []
  const { denyPods } = config.taskNetwork
  const namespaces = denyPods ? [config.namespace] : [...new Set([config.namespace, config.taskNamespace])]
  return namespaces.map((namespace) =>
    policy(config, "metadata-service", namespace, {
      podSelector: ofComponents(config, denyPods ? ["controller"] : ["controller", "task"]),
      policyTypes: ["Egress"],
      egress: [{ to: [{ namespaceSelector: {} }, ...everywhere] }, dnsOutside] // some networks do not count Pods as addresses
    })
  )
}

const taskPolicies = (config: ResolvedConfig): ReadonlyArray<V1NetworkPolicy> => {
  const { cloudIdentity, denyIngress, denyPods, privateCidrs } = config.taskNetwork
  const ofTasks = (name: PolicyName, rest: Omit<V1NetworkPolicySpec, "podSelector">) =>
    policy(config, name, config.taskNamespace, { podSelector: selecting(selectorLabels(config, "task")), ...rest })
  return [
    ...(denyPods
      ? [
        ofTasks("task-egress", {
          policyTypes: ["Egress"],
          egress: [
            dnsInside,
            dnsService(privateCidrs),
            dnsOutside,
            ...toServer(config),
            ...toOtherServer(config),
            ...toFlux,
            ...toApiServer(config),
            { to: [...internet(privateCidrs)] }
          ]
        })
      ]
      : []),
    ...(cloudIdentity === undefined
      ? []
      : [ofTasks("cloud-identity", { policyTypes: ["Egress"], egress: [...cloudIdentities[cloudIdentity]] })]),
    ...(denyIngress ? [ofTasks("task-ingress", { policyTypes: ["Ingress"] })] : [])
  ]
}

/** Returns the policies, or nothing unless the values ask for some. */
export const networkPolicies = (
  config: ResolvedConfig
): ReadonlyArray<V1NetworkPolicy> => [...metadataPolicies(config), ...taskPolicies(config)]
