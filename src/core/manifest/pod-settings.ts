// The fields of a Pod's spec that the values set for the Pod as a whole, alike for the controller's Pod and those of tasks.
// Invariant: what the values leave empty is left out.
// Used by whatever makes a Pod.
import type { V1PodSpec, V1TopologySpreadConstraint } from "@kubernetes/client-node"
import type { PodConfig } from "../resolve/pods.ts"

type Selector = Readonly<Record<string, string>>

/** Returns a function that adds a label selector to a constraint without one, which would select no Pods and so spread none. */
const amongAlike = (alike: Selector) => (constraint: V1TopologySpreadConstraint): V1TopologySpreadConstraint => ({
  labelSelector: { matchLabels: alike },
  ...constraint
})

const isGiven = (value: object): boolean => Object.keys(value).length > 0

/** Returns these fields. `alike` are the labels that all Pods of this kind have. */
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
