// What the Pods of controller and tasks may reach, and who may reach those of tasks, as far as the values ask for it.
// Invariant: policies add up, so a Pod is never selected by one that is wider than another one is meant to be.
// Used by core/manifest/install, core/overlay/overlay and generate.
import type { V1LabelSelector, V1NetworkPolicy, V1NetworkPolicyEgressRule, V1NetworkPolicySpec } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../resolve.ts"
import { selectorLabels } from "./labels.ts"
import { cloudIdentities, dnsInside, dnsOutside, dnsService, everywhere, internet, privateNetworks, tcp } from "./network-addresses.ts"
import { objectMetadata } from "./object-metadata.ts"

type Rules = ReadonlyArray<V1NetworkPolicyEgressRule>

const namespaceNamed = (name: string): V1LabelSelector => ({ matchLabels: { "kubernetes.io/metadata.name": name } })

export const toServer = (config: ResolvedConfig): Rules => [{
  to: [{ namespaceSelector: namespaceNamed(config.namespace), podSelector: { matchLabels: selectorLabels(config, "server") } }],
  ports: [tcp(8080)]
}]

/** Where AgentTasks with `source.fluxSource` have their artifact from. */
export const toFlux: Rules = [{
  to: [{ namespaceSelector: namespaceNamed("flux-system"), podSelector: { matchLabels: { app: "source-controller" } } }],
  ports: [tcp(9090)]
}]

export const toApiServer: Rules = [{ to: [...privateNetworks], ports: [tcp(443), tcp(6443)] }]

const policy = (config: ResolvedConfig, name: string, namespace: string, spec: V1NetworkPolicySpec): V1NetworkPolicy => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: objectMetadata(config, "controller", { name: `${config.name}-${name}`, namespace }),
  spec
})

const ofComponents = ({ name }: ResolvedConfig, components: ReadonlyArray<"controller" | "task">): V1LabelSelector => ({
  matchLabels: { "app.kubernetes.io/name": "agent-job", "app.kubernetes.io/instance": name },
  matchExpressions: [{ key: "app.kubernetes.io/component", operator: "In", values: [...components] }]
})

/**
 * Of the policies that open all but what they keep Pods from, after the installation's name: beside ones that close all egress they would
 * open the rest.
 */
export const wide = ["metadata-service", "task-egress"] as const

/** One a namespace. Tasks have a narrower one of their own where they may reach no Pods. */
const metadataPolicies = (config: ResolvedConfig): ReadonlyArray<V1NetworkPolicy> => {
  if (!config.restrictMetadataService) return []
  const { denyPods } = config.taskNetwork
  const namespaces = denyPods ? [config.namespace] : [...new Set([config.namespace, config.taskNamespace])]
  return namespaces.map((namespace) =>
    policy(config, "metadata-service", namespace, {
      podSelector: ofComponents(config, denyPods ? ["controller"] : ["controller", "task"]),
      policyTypes: ["Egress"],
      egress: [{ to: [{ namespaceSelector: {} }, ...everywhere] }, dnsOutside] // Pods, which some networks do not count as addresses
    })
  )
}

const taskPolicies = (config: ResolvedConfig): ReadonlyArray<V1NetworkPolicy> => {
  const { cloudIdentity, denyIngress, denyPods } = config.taskNetwork
  const ofTasks = (name: string, rest: Omit<V1NetworkPolicySpec, "podSelector">) =>
    policy(config, name, config.taskNamespace, { podSelector: { matchLabels: selectorLabels(config, "task") }, ...rest })
  return [
    ...(denyPods
      ? [
        ofTasks("task-egress", {
          policyTypes: ["Egress"],
          egress: [dnsInside, dnsService, dnsOutside, ...toServer(config), ...toFlux, ...toApiServer, { to: [...internet] }]
        })
      ]
      : []),
    ...(cloudIdentity === undefined
      ? []
      : [ofTasks("cloud-identity", { policyTypes: ["Egress"], egress: [...cloudIdentities[cloudIdentity]] })]),
    ...(denyIngress ? [ofTasks("task-ingress", { policyTypes: ["Ingress"] })] : [])
  ]
}

/** None unless the values ask for them. */
export const networkPolicies = (
  config: ResolvedConfig
): ReadonlyArray<V1NetworkPolicy> => [...metadataPolicies(config), ...taskPolicies(config)]
