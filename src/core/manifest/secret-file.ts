// Files from Secrets in our Pods, and who may read them.
// Invariant: no more than the Pod's own user and group, unless the values give the Pod's volumes no group.
// Used by the builders of volumes.
import type { V1Volume } from "@kubernetes/client-node"
import type { PodConfig } from "../resolve/pods.ts"

/**
 * Returns the mode of the files: readable by their owner, which is root, and the kubelet makes them readable by the group of the Pod's
 * volumes too. Without that group, or with one that only admission adds, whoever is in a container that mounts them may read them: nobody
 * but root could otherwise.
 */
export const secretMode = ({ securityContext }: PodConfig): number => securityContext.fsGroup === undefined ? 0o444 : 0o400

/** Returns a volume with one key of a Secret as the file `token`. */
export const secretFile = (pod: PodConfig, name: string, secretName: string, key: string): V1Volume => ({
  name,
  secret: { secretName, items: [{ key, path: "token" }], defaultMode: secretMode(pod) }
})
