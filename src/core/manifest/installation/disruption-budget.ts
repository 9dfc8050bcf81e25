// The PodDisruptionBudgets: which Pods a drain of a node must leave, and wait for.
// Used by core/manifest/installation/install.
import type { V1ObjectMeta, V1PodDisruptionBudget, V1PodDisruptionBudgetSpec } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { controllerName } from "../controller-names.ts"
import { selecting, selectorLabels, stageLabel } from "../labels.ts"
import { objectMetadata } from "../object-metadata.ts"

const budget = (metadata: V1ObjectMeta, spec: V1PodDisruptionBudgetSpec): V1PodDisruptionBudget => ({
  apiVersion: "policy/v1",
  kind: "PodDisruptionBudget",
  metadata,
  spec
})

/** Returns the controller's budget, or nothing unless the values ask for one. */
const ofController = (config: ResolvedConfig): ReadonlyArray<V1PodDisruptionBudget> => {
  const { minAvailable } = config.controller
  if (minAvailable === undefined) return []
  const metadata = objectMetadata(config, "controller", { name: controllerName(config), namespace: config.namespace })
  return [budget(metadata, { minAvailable, selector: { matchLabels: selectorLabels(config, "controller") } })]
}

/**
 * More Pods than there can ever be, so that none may be evicted. For the Pods of Jobs, Kubernetes supports neither a percentage nor
 * maxUnavailable, because it cannot tell how many Pods there should be.
 */
const all = 2 ** 31 - 1

/**
 * Returns the budget for every apply and destroy. Plans have none, because a plan changes nothing and is made again. One object covers all
 * tasks, so that no task costs a write.
 */
const ofChanges = (config: ResolvedConfig): V1PodDisruptionBudget =>
  budget(objectMetadata(config, "task", { name: `${config.name}-changes`, namespace: config.taskNamespace }), {
    minAvailable: all,
    selector: {
      matchExpressions: [
        ...selecting(selectorLabels(config, "task")).matchExpressions,
        { key: stageLabel, operator: "In", values: ["apply", "destroy"] }
      ]
    }
  })

export const disruptionBudgets = (
  config: ResolvedConfig
): ReadonlyArray<V1PodDisruptionBudget> => [...ofController(config), ofChanges(config)]
