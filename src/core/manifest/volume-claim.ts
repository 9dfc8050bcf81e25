// The claim for the cache that the Pods of tasks share.
// Used by core/manifest/install.
import type { V1PersistentVolumeClaim } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../resolve.ts"
import { labels } from "./labels.ts"

/** None without persistence, or when the values name a claim that exists. */
export const volumeClaim = (config: ResolvedConfig): ReadonlyArray<V1PersistentVolumeClaim> => {
  const { cache } = config
  if (cache?.claim === undefined) return []
  const { accessMode, storage, storageClassName } = cache.claim
  return [{
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: cache.claimName, namespace: config.taskNamespace, labels: labels(config, "task") },
    spec: {
      accessModes: [accessMode],
      resources: { requests: { storage } },
      ...(storageClassName !== undefined && { storageClassName })
    }
  }]
}
