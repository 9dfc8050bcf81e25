// What the values say of a Pod as a whole, as its spec has it; the controller's Pod and those of tasks take it alike.
// Invariant: what the values leave empty is left out.
// Used by core/manifest/pod and core/manifest/deployment.
import type { V1PodSpec, V1TopologySpreadConstraint } from "@kubernetes/client-node"
import type { PodConfig } from "../resolve/pods.ts"

type Selector = Readonly<Record<string, string>>

/** One that selects nothing would spread nothing. */
const amongAlike = (alike: Selector) => (constraint: V1TopologySpreadConstraint): V1TopologySpreadConstraint => ({
  labelSelector: { matchLabels: alike },
  ...constraint
})

const isGiven = (value: object): boolean => Object.keys(value).length > 0

/** `alike`: the labels that Pods of this kind have. */
export const podSettings = (pod: PodConfig, alike: Selector): Omit<V1PodSpec, "containers"> => ({
  terminationGracePeriodSeconds: pod.terminationGracePeriodSeconds,
  ...(pod.priorityClassName !== "" && { priorityClassName: pod.priorityClassName }),
  ...(pod.runtimeClassName !== "" && { runtimeClassName: pod.runtimeClassName }),
  ...(pod.dnsPolicy !== "" && { dnsPolicy: pod.dnsPolicy }),
  ...(isGiven(pod.dnsConfig) && { dnsConfig: pod.dnsConfig }),
  ...(isGiven(pod.hostAliases) && { hostAliases: [...pod.hostAliases] }),
  ...(isGiven(pod.nodeSelector) && { nodeSelector: pod.nodeSelector }),
  ...(isGiven(pod.affinity) && { affinity: pod.affinity }),
  ...(isGiven(pod.tolerations) && { tolerations: [...pod.tolerations] }),
  ...(isGiven(pod.topologySpreadConstraints) && { topologySpreadConstraints: pod.topologySpreadConstraints.map(amongAlike(alike)) }),
  securityContext: pod.securityContext
})
