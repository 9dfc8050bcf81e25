// Certificates in our Pods: roots that all our containers trust beside those of their images, and the client certificate for the server.
// Invariant: the client's private key is mounted in controller and worker, never in the runner.
// Used by core/manifest/volumes, core/manifest/environment, core/manifest/installation/deployment and core/manifest/installation/install.
import type { V1ConfigMap, V1EnvVar, V1Volume, V1VolumeMount } from "@kubernetes/client-node"
import type { ClientCertificateConfig, TrustConfig } from "../resolve/network.ts"
import type { PodConfig } from "../resolve/pods.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { place } from "../task/places.ts"
import { fingerprint } from "../text/fingerprint.ts"
import { objectMetadata } from "./object-metadata.ts"
import { secretMode } from "./secret-file.ts"

const trust = "agent-job-ca-bundle"
const client = "agent-job-client-certificate"

const trustVolume = ({ from: { key, kind, name } }: TrustConfig): V1Volume => {
  const items = [{ key, path: "ca.crt" }]
  return { name: trust, ...(kind === "Secret" ? { secret: { secretName: name, items } } : { configMap: { name, items } }) }
}

const clientVolume = ({ certKey, keyKey, secretName }: ClientCertificateConfig, pod: PodConfig): V1Volume => ({
  name: client,
  secret: { secretName, items: [{ key: certKey, path: "tls.crt" }, { key: keyKey, path: "tls.key" }], defaultMode: secretMode(pod) }
})

export const certificateVolumes = (config: ResolvedConfig, pod: PodConfig): ReadonlyArray<V1Volume> => [
  ...(config.trust === undefined ? [] : [trustVolume(config.trust)]),
  ...(config.clientCertificate === undefined ? [] : [clientVolume(config.clientCertificate, pod)])
]

export const trustMounts = (config: ResolvedConfig): ReadonlyArray<V1VolumeMount> =>
  config.trust === undefined ? [] : [{ name: trust, mountPath: place.caBundle, readOnly: true }]

/** Returns the mounts of the controller and the worker. */
export const certificateMounts = (config: ResolvedConfig): ReadonlyArray<V1VolumeMount> => [
  ...trustMounts(config),
  ...(config.clientCertificate === undefined ? [] : [{ name: client, mountPath: place.clientCertificate, readOnly: true }])
]

/** Returns the variable that tells the controller and the worker where the client certificate is, if the values give one. */
export const clientCertificateVariable = ({ clientCertificate }: ResolvedConfig): ReadonlyArray<V1EnvVar> =>
  clientCertificate === undefined ? [] : [{ name: "AGENT_JOB_CLIENT_CERTIFICATE_DIR", value: place.clientCertificate }]

/**
 * Returns an annotation for Pods that changes with the certificates of the values, so that the controller starts anew with them. It would
 * read the mounted file for each request, but the kubelet brings that up to date only after minutes.
 */
export const trustChecksum = ({ trust }: ResolvedConfig): Readonly<Record<string, string>> =>
  trust?.bundle === undefined ? {} : { "checksum/ca-bundle": fingerprint(trust.bundle) }

/**
 * Returns a ConfigMap of the certificates that the values themselves contain, for each namespace with Pods of ours. Returns nothing if the
 * values name an existing object.
 */
export const trustConfigMaps = (config: ResolvedConfig): ReadonlyArray<V1ConfigMap> => {
  const { trust } = config
  if (trust?.bundle === undefined) return []
  const data = { [trust.from.key]: trust.bundle }
  return [...new Set([config.namespace, config.taskNamespace])].map((namespace) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: objectMetadata(config, namespace === config.namespace ? "controller" : "task", { name: trust.from.name, namespace }),
    data
  }))
}
