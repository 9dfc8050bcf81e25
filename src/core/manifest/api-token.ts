// The token of the Kubernetes API as a volume: mounted where clients look for it, in one container of ours in a Pod.
// A sidecar of the values may mount the volume too, because whoever wrote the values chose to give the token away.
// Used by core/manifest/volumes and core/manifest/installation/deployment.
import type { V1Volume, V1VolumeMount } from "@kubernetes/client-node"
import { place } from "../task/places.ts"

const name = "api-token"

/**
 * Returns the volume. The kubelet renews the token before it expires, and the API server rejects it once its Pod is gone.
 * `expirationSeconds` must be at least 600, as the API server demands.
 */
export const apiTokenVolume = (expirationSeconds: number): V1Volume => ({
  name,
  projected: {
    sources: [
      { serviceAccountToken: { expirationSeconds, path: "token" } },
      { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
      { downwardAPI: { items: [{ path: "namespace", fieldRef: { fieldPath: "metadata.namespace" } }] } }
    ]
  }
})

export const apiTokenMount: V1VolumeMount = { name, mountPath: place.apiToken, readOnly: true }
