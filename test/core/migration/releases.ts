// Decoded releases of the Helm chart: one of 0.5.59, and one of 0.6.5 with those of its defaults that differ from ours.
// Used by the tests of this folder.
import type { Chosen } from "../../../src/core/migration/chosen.ts"
import type { HelmObject, HelmRelease } from "../../../src/schema/kubernetes/helm-release.ts"

export const objectOf = (kind: string, name: string, more: object = {}): HelmObject => ({
  kind,
  metadata: { name, namespace: "scalr" },
  ...more
})

const controller = (name: string, terminationGracePeriodSeconds: number): HelmObject =>
  objectOf("Deployment", name, {
    spec: { selector: { matchLabels: { "app.kubernetes.io/instance": "blue" } }, template: { spec: { terminationGracePeriodSeconds } } }
  })

export const firstRelease = (config: object, objects: ReadonlyArray<HelmObject> = []): HelmRelease => ({
  name: "blue",
  namespace: "scalr",
  revision: 3,
  chartVersion: "0.5.59",
  defaults: {},
  config: { ...config },
  objects: [controller("scalr-agent-controller", 360), objectOf("AgentTask", "scalr-agent-task"), ...objects]
})

const laterDefaults = {
  agent: {
    controller: { args: [], extraEnv: [] },
    podDisruptionBudget: { enabled: true, minAvailable: 1, maxUnavailable: null },
    replicaCount: 1,
    resources: { requests: { cpu: "100m", memory: "256Mi" } },
    sentryDsn: "",
    topologySpreadConstraints: {}
  },
  global: { podSecurityContext: { fsGroup: 1000, runAsGroup: 1000, runAsUser: 1000 } },
  persistence: {
    cache: { enabled: false, hostPath: { path: "", type: "DirectoryOrCreate" }, persistentVolumeClaim: { storage: "90Gi" } },
    data: { emptyDir: { sizeLimit: "4Gi" } }
  },
  task: { allowMetadataService: false, podSecurityContext: {} }
}

export const laterRelease = (config: object): HelmRelease => ({
  ...firstRelease(config),
  chartVersion: "0.6.5",
  defaults: laterDefaults,
  objects: [controller("blue", 180), objectOf("AgentTaskTemplate", "blue")]
})

export const chosen: Chosen = {
  image: { repository: "registry.example.com/agent-job", tag: "0.1.0" },
  runnerImage: { repository: "registry.example.com/agent-job-runner", tag: "0.1.0" },
  withoutCrd: false
}
