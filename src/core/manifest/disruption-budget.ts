// The budget that a drain of nodes respects: how many Pods of the controller it must leave.
// Used by core/manifest/install.
import type { V1PodDisruptionBudget } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../resolve.ts"
import { selectorLabels } from "./labels.ts"
import { objectMetadata } from "./object-metadata.ts"

/** None unless the values ask for it. */
export const disruptionBudgets = (config: ResolvedConfig): ReadonlyArray<V1PodDisruptionBudget> => {
  const { minAvailable } = config.controller
  if (minAvailable === undefined) return []
  return [{
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: objectMetadata(config, "controller", { name: `${config.name}-controller`, namespace: config.namespace }),
    spec: { minAvailable, selector: { matchLabels: selectorLabels(config, "controller") } }
  }]
}
