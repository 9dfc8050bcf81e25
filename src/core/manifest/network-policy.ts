// Keeps the Pods of controller and tasks from the cloud's metadata service, and from nothing else.
// DNS at that address stays open: on some clouds it is the cluster's own.
// Used by core/manifest/install and generate.
import type { V1NetworkPolicy } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../resolve.ts"
import { objectMetadata } from "./object-metadata.ts"

/** Of AWS by IPv6, of all others by IPv4 alone. */
export const metadataService = { ipv4: "169.254.169.254/32", ipv6: "fd00:ec2::254/128" }

const policy = (config: ResolvedConfig, namespace: string): V1NetworkPolicy => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: objectMetadata(config, "controller", { name: `${config.name}-metadata-service`, namespace }),
  spec: {
    podSelector: {
      matchLabels: { "app.kubernetes.io/name": "agent-job", "app.kubernetes.io/instance": config.name },
      matchExpressions: [{ key: "app.kubernetes.io/component", operator: "In", values: ["controller", "task"] }]
    },
    policyTypes: ["Egress"],
    egress: [
      {
        to: [
          { namespaceSelector: {} }, // Pods, which some networks do not count as addresses
          { ipBlock: { cidr: "0.0.0.0/0", except: [metadataService.ipv4] } },
          { ipBlock: { cidr: "::/0", except: [metadataService.ipv6] } }
        ]
      },
      { to: [{ ipBlock: { cidr: metadataService.ipv4 } }], ports: [{ port: 53, protocol: "UDP" }, { port: 53, protocol: "TCP" }] }
    ]
  }
})

/** One a namespace; none unless the values ask for it. */
export const networkPolicies = (config: ResolvedConfig): ReadonlyArray<V1NetworkPolicy> =>
  !config.restrictMetadataService ? [] : [...new Set([config.namespace, config.taskNamespace])].map((namespace) => policy(config, namespace))
