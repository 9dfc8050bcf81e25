// The server as Kubernetes runs it: one Pod with a volume of its own, a Service, and an account that may do nothing.
// There is always one replica, because the database has one writer.
// Used by generate for kustomize/components/server and server-tls, and by core/overlay/overlay.
import type { V1EnvVar, V1Probe, V1Service, V1ServiceAccount, V1StatefulSet, V1Volume, V1VolumeMount } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { place, serverPort } from "../../task/places.ts"
import { fromObjects, withOurs } from "../environment.ts"
import { labels, selectorLabels } from "../labels.ts"
import { objectMetadata } from "../object-metadata.ts"
import { secretFile, secretMode } from "../secret-file.ts"
import { serverName, serverSecrets, serverVolume } from "../server-names.ts"
import { serviceAccount } from "./service-account.ts"

/** What the server speaks: the name of its port, as meshes and ingresses take it, what probes say of it, and what its Pod needs for it. */
interface Scheme {
  readonly portName: string
  readonly ofProbe: { readonly scheme?: string }
  readonly env: ReadonlyArray<V1EnvVar>
  readonly mounts: ReadonlyArray<V1VolumeMount>
  readonly volumes: ReadonlyArray<V1Volume>
}

const http: Scheme = { portName: "http", ofProbe: {}, env: [], mounts: [], volumes: [] }

const https = (config: ResolvedConfig): Scheme => ({
  portName: "https",
  ofProbe: { scheme: "HTTPS" },
  env: [
    { name: "AGENT_JOB_TLS_CERT_FILE", value: `${place.serverCertificate}/tls.crt` },
    { name: "AGENT_JOB_TLS_PRIVATE_KEY_FILE", value: `${place.serverCertificate}/tls.key` }
  ],
  mounts: [{ name: "server-certificate", mountPath: place.serverCertificate, readOnly: true }],
  volumes: [{
    name: "server-certificate",
    secret: {
      secretName: serverSecrets.tls,
      items: ["tls.crt", "tls.key"].map((key) => ({ key, path: key })),
      defaultMode: secretMode(config.controller.pod)
    }
  }]
})

const probe = (path: string, { ofProbe }: Scheme): V1Probe => ({
  httpGet: { path, port: serverPort, ...ofProbe },
  periodSeconds: 10,
  timeoutSeconds: 5
})
const metadata = (config: ResolvedConfig) => objectMetadata(config, "server", { name: serverName, namespace: config.namespace })

const service = (config: ResolvedConfig, { portName }: Scheme): V1Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: metadata(config),
  spec: {
    // The first Pod alone: another, as where somebody scales the StatefulSet, has an empty volume, and who came to it would find no state.
    selector: { ...selectorLabels(config, "server"), "apps.kubernetes.io/pod-index": "0" },
    // A server with a full disk is not ready, but answers and says so: its logs and states can still be read.
    publishNotReadyAddresses: true,
    ports: [{ name: portName, port: serverPort, targetPort: portName }]
  }
})

const statefulSet = (config: ResolvedConfig, scheme: Scheme): V1StatefulSet => {
  const { container, pod } = config.controller
  const own = config.server
  const env = withOurs(own.container.env, scheme.env)
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: metadata(config),
    spec: {
      replicas: 1,
      // With OrderedReady, a Pod that never gets ready would keep the corrected template from its place (kubernetes#67250).
      podManagementPolicy: "Parallel",
      serviceName: serverName,
      selector: { matchLabels: selectorLabels(config, "server") },
      template: {
        metadata: {
          labels: { ...own.pod.labels, ...labels(config, "server") },
          // without this, cluster-autoscaler never removes the Pod's node
          annotations: { "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes": "tmp", ...own.pod.annotations }
        },
        spec: {
          ...(config.imagePullSecrets.length > 0 && { imagePullSecrets: [...config.imagePullSecrets] }),
          serviceAccountName: serverName,
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 30,
          securityContext: pod.securityContext,
          containers: [{
            name: "server",
            image: container.image,
            imagePullPolicy: container.imagePullPolicy,
            args: [
              "server",
              "--port",
              String(serverPort),
              "--data-dir",
              place.serverData,
              "--user-token-file",
              `${place.userToken}/token`,
              "--pool-token-file",
              `${place.poolToken}/token`
            ],
            ports: [{ name: scheme.portName, containerPort: serverPort }],
            ...(env.length > 0 && { env }),
            ...fromObjects(own.container),
            // Node takes half of the memory for its heap, and half of the heap is for a state that is parsed (server/workspace/state-body). The
            // bodies of requests that arrive are held beside the heap (server/access/bodies).
            resources: { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "100m", memory: "128Mi" } },
            volumeMounts: [
              { name: serverVolume, mountPath: place.serverData },
              { name: "tmp", mountPath: place.tmp },
              { name: "user-token", mountPath: place.userToken, readOnly: true },
              { name: "pool-token", mountPath: place.poolToken, readOnly: true },
              ...scheme.mounts
            ],
            // Before it listens, a server brings a database of years up to date, and looks through its pages. One that is ended meanwhile
            // begins anew at each start, and would never get there.
            startupProbe: { ...probe("/healthz", scheme), failureThreshold: 90 },
            livenessProbe: { ...probe("/healthz", scheme), failureThreshold: 6 }, // a large state may hold up answers for half a minute
            readinessProbe: probe("/readyz", scheme),
            securityContext: container.securityContext
          }],
          volumes: [
            { name: "tmp", emptyDir: { sizeLimit: "1Gi" } },
            secretFile(pod, "user-token", serverSecrets.user, "token"),
            secretFile(pod, "pool-token", serverSecrets.pool, "token"),
            ...scheme.volumes
          ]
        }
      },
      volumeClaimTemplates: [{
        metadata: { name: serverVolume, labels: selectorLabels(config, "server") },
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } }
      }]
    }
  }
}

type ServerObject = V1ServiceAccount | V1Service | V1StatefulSet

const objects = (config: ResolvedConfig, scheme: Scheme): ReadonlyArray<ServerObject> => [
  serviceAccount(metadata(config)),
  service(config, scheme),
  statefulSet(config, scheme)
]

export const server = (config: ResolvedConfig): ReadonlyArray<ServerObject> => objects(config, http)

/** Returns the server that speaks TLS with the certificate of a Secret, and nothing else, on the same port. */
export const secureServer = (config: ResolvedConfig): ReadonlyArray<ServerObject> => objects(config, https(config))
