// A Pod as the values want it, apart from its containers: its labels and annotations, where it runs, and what surrounds it.
// Invariant: global labels and annotations reach both Pods, and the Pod's own win.
// Used by core/resolve/resolve, and as a type in core/manifest; its tables are in test/core/resolve/resolve.test.ts.
import type {
  V1Affinity,
  V1HostAlias,
  V1PodDNSConfig,
  V1PodSecurityContext,
  V1Toleration,
  V1TopologySpreadConstraint
} from "@kubernetes/client-node"
import type { Values } from "../../schema/values/values.ts"
import { isEmpty, type Texts } from "./plain.ts"

/** What the values set for a Pod. An empty map, list or text sets nothing. */
export interface PodConfig {
  readonly annotations: Texts
  /** Labels beside ours. The values cannot give a label of ours. */
  readonly labels: Texts
  readonly nodeSelector: Texts
  readonly affinity: V1Affinity
  readonly tolerations: ReadonlyArray<V1Toleration>
  /** A constraint without `labelSelector` counts Pods like this one. */
  readonly topologySpreadConstraints: ReadonlyArray<V1TopologySpreadConstraint>
  readonly priorityClassName: string
  readonly runtimeClassName: string
  readonly dnsPolicy: string
  readonly dnsConfig: V1PodDNSConfig
  readonly hostAliases: ReadonlyArray<V1HostAlias>
  readonly securityContext: V1PodSecurityContext
  readonly terminationGracePeriodSeconds: number
}

const podSecurityContext = (
  { seLinuxOptions, supplementalGroups, sysctls, ...rest }: Values["task"]["podSecurityContext"]
): V1PodSecurityContext => ({
  ...rest,
  ...(seLinuxOptions !== undefined && !isEmpty(seLinuxOptions) && { seLinuxOptions }),
  ...(supplementalGroups !== undefined && !isEmpty(supplementalGroups) && { supplementalGroups }),
  ...(sysctls !== undefined && !isEmpty(sysctls) && { sysctls })
})

export const podConfig = (global: Values["global"], of: Values["controller"] | Values["task"]): PodConfig => ({
  annotations: { ...global.podAnnotations, ...of.podAnnotations },
  labels: { ...global.podLabels, ...of.podLabels },
  nodeSelector: of.nodeSelector,
  affinity: of.affinity,
  tolerations: of.tolerations,
  topologySpreadConstraints: of.topologySpreadConstraints,
  priorityClassName: of.priorityClassName,
  runtimeClassName: "runtimeClassName" in of ? of.runtimeClassName : "",
  dnsPolicy: of.dnsPolicy,
  dnsConfig: of.dnsConfig,
  hostAliases: of.hostAliases,
  securityContext: podSecurityContext(of.podSecurityContext),
  terminationGracePeriodSeconds: of.terminationGracePeriodSeconds
})
