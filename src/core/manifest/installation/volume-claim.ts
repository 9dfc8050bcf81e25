// The volume claim that the Pods of tasks share: for a cache, and for states that the server did not accept.
// Used by core/manifest/installation/install.
import type { V1PersistentVolumeClaim } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { objectMetadata } from "../object-metadata.ts"
import { kept } from "./kept.ts"

/** Returns the volume claim, or nothing without persistence or if the values name an existing one or a directory of the node. */
export const volumeClaim = (config: ResolvedConfig): ReadonlyArray<V1PersistentVolumeClaim> => {
  const { cache } = config
  if (cache?.claim === undefined) return []
  const { accessMode, name, storage, storageClassName } = cache.claim
  return [{
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    // Kept, because it may hold the only copy of a state.
    metadata: objectMetadata(config, "task", { name, namespace: config.taskNamespace, annotations: kept }),
    spec: {
      accessModes: [accessMode],
      resources: { requests: { storage } },
      ...(storageClassName !== undefined && { storageClassName })
    }
  }]
}
