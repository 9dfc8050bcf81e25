// The controller's Deployment: one replica leads, others stand by.
// Invariant: tokens are files, never variables or arguments. A changed ConfigMap makes no new Pods: the controller reads it again.
// Used by core/manifest/installation/install, and by core/migration/trial, whose Pod starts as the controller's does.
import type { V1Deployment, V1Probe, V1Volume, V1VolumeMount } from "@kubernetes/client-node"
import type { PodConfig } from "../../resolve/pods.ts"
import type { ResolvedConfig, TokenConfig } from "../../resolve/resolve.ts"
import { controllerHealthPort, place } from "../../task/places.ts"
import { apiTokenMount, apiTokenVolume } from "../api-token.ts"
import { certificateMounts, certificateVolumes, clientCertificateVariable, trustChecksum } from "../certificates.ts"
import { controllerName } from "../controller-names.ts"
import { fromField, fromObjects, withOurs } from "../environment.ts"
import { labels, selectorLabels } from "../labels.ts"
import { objectMetadata } from "../object-metadata.ts"
import { podSettings } from "../pod-settings.ts"
import { secretFile } from "../secret-file.ts"
import { configMapName } from "./config-map.ts"

const probe = (path: string): V1Probe => ({ httpGet: { path, port: controllerHealthPort }, periodSeconds: 10, timeoutSeconds: 5 })

const tokenVolume = ({ secret }: TokenConfig, pod: PodConfig): V1Volume => secretFile(pod, "pool-token", secret.name, secret.key)

const volumes = (config: ResolvedConfig): Array<V1Volume> => [
  { name: "config", configMap: { name: configMapName(config) } },
  { name: "data", emptyDir: { sizeLimit: "1Gi" } },
  apiTokenVolume(config.tokenTtlSeconds),
  ...(config.token === undefined ? [] : [tokenVolume(config.token, config.controller.pod)]),
  ...certificateVolumes(config, config.controller.pod)
]

const mounts = (config: ResolvedConfig): Array<V1VolumeMount> => [
  { name: "config", mountPath: place.config, readOnly: true },
  { name: "data", mountPath: config.dataDir },
  apiTokenMount,
  ...(config.token === undefined ? [] : [{ name: "pool-token", mountPath: place.poolToken, readOnly: true }]),
  ...certificateMounts(config)
]

export const deployment = (config: ResolvedConfig): V1Deployment => {
  const { container, pod } = config.controller
  const annotations = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes": "data", // without this, that never removes the Pod's node
    ...pod.annotations,
    ...trustChecksum(config)
  }
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: objectMetadata(config, "controller", { name: controllerName(config), namespace: config.namespace }),
    spec: {
      replicas: config.controller.replicas,
      selector: { matchLabels: selectorLabels(config, "controller") },
      strategy: { type: "RollingUpdate" },
      template: {
        metadata: { labels: { ...pod.labels, ...labels(config, "controller") }, annotations },
        spec: {
          ...(config.imagePullSecrets.length > 0 && { imagePullSecrets: [...config.imagePullSecrets] }),
          serviceAccountName: config.account.name,
          automountServiceAccountToken: config.account.automountToken,
          enableServiceLinks: false,
          shareProcessNamespace: true, // the kernel drops a SIGTERM of the first process of a container that nobody listens for yet, as while Node starts
          ...podSettings(pod, selectorLabels(config, "controller")),
          containers: [{
            name: "controller",
            image: container.image,
            imagePullPolicy: container.imagePullPolicy,
            args: ["controller", "--values", place.config, "--name", config.name, "--namespace", config.namespace],
            ports: [{ name: "health", containerPort: controllerHealthPort }],
            env: withOurs(container.env, [
              ...clientCertificateVariable(config),
              fromField("POD_NAME", "metadata.name"),
              fromField("POD_NAMESPACE", "metadata.namespace")
            ]),
            ...fromObjects(container),
            resources: container.resources,
            volumeMounts: mounts(config),
            livenessProbe: { ...probe("/healthz"), failureThreshold: 6 }, // a start on a node without processors to spare takes half a minute
            readinessProbe: probe("/readyz"),
            securityContext: container.securityContext
          }],
          volumes: volumes(config)
        }
      }
    }
  }
}
