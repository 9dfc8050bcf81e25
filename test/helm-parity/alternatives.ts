// The values that each key of the chart may have besides its default, with odd texts and numbers among them.
// Invariant: Kubernetes accepts every one of them, and none by itself contradicts another key.
// Used by generated-values.ts.
import type { Choices, Some } from "./choices.ts"

type Made = (choices: Choices, key: string) => unknown

const oneOf = (...all: Some): Made => ({ oneOf }) => oneOf(all)
const someOf = (...all: Some): Made => ({ someOf }) => someOf(all)
const texts = [
  "plain",
  "",
  "1e3",
  "010",
  "yes",
  " spaced ",
  "a=b, c: d",
  "two\nlines\n",
  "Grüße",
  "#none",
  "{{ .Values }}",
  "\"quoted\"",
  "~"
] as const

/** Makes a map with some keys that other components give too, and one that only this component gives. */
const map = (shared: readonly [string, ...ReadonlyArray<string>], values: Some): Made => ({ oneOf, someOf }, key) =>
  Object.fromEntries([...someOf(shared), `only-${key.split(".").slice(0, -1).join("-")}`].map((name) => [name, oneOf(values)]))

const variables = map(["TF_LOG", "REGION", "SCALR_AGENT_DEBUG", "TF_VAR_size"], [
  ...texts,
  0,
  7,
  -1,
  1.5,
  1_000_000,
  86_400_000,
  true,
  false
])
const annotations = map(["example.com/team", "prometheus.io/scrape", "purpose"], texts)
const labelled = map(["example.com/pool", "kubernetes.io/os", "disk"], ["linux", "fast_1.0", "true", "08", "a".repeat(63)])
const tags = oneOf("1.2.3", "v0.60.0-rc.1", "latest", "008")
const repositories = oneOf("agent", "mirror/scalr/agent", "acme/tools/agent.v3")
const ids = oneOf(1000, 2000, 65534)
/** Null would show of no container: the Pod's own id is the same by default. */
const idsOfPods = oneOf(1000, null, 65534)
const profiles = oneOf({ type: "Unconfined" }, { type: "Localhost", localhostProfile: "profiles/agent.json" })
const seLinux = oneOf({ level: "s0:c1,c2" }, { user: "system_u", role: "system_r", type: "container_t" })
const quantities = oneOf("1Gi", "0.5Ti", "64G", "5e9", "1500Mi")
const grace = oneOf(0, 30, 1200)
const contexts = oneOf({ runAsUser: 2000 }, { privileged: true, allowPrivilegeEscalation: true }, {
  runAsUser: 0,
  runAsNonRoot: false,
  capabilities: { add: ["CHOWN"], drop: ["ALL"] }
}, { readOnlyRootFilesystem: false, seccompProfile: { type: "Unconfined" } })
const resources = oneOf(
  { limits: { cpu: "8", memory: "16Gi" } },
  { limits: { cpu: null, memory: "6G" }, requests: { cpu: "0.05" } },
  { limits: { "example.com/gpu": 1 }, requests: { "example.com/gpu": 1, memory: "0.1Gi" } },
  { limits: null },
  { limits: { cpu: 9.5, "ephemeral-storage": "2e9" }, requests: { cpu: "75m", "ephemeral-storage": "1Gi" } }
)
const tolerations = someOf(
  { operator: "Exists" },
  { key: "example.com/spot", operator: "Equal", value: "true", effect: "NoSchedule" },
  {
    key: "slow",
    effect: "NoExecute",
    operator: "Exists",
    tolerationSeconds: 30
  },
  { key: "plain", value: "v" },
  { key: "empty", operator: "", value: "v", effect: "" }
)
const affinities = oneOf(
  {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: "example.com/cores", operator: "Gt", values: ["8"] }] }]
      }
    }
  },
  {
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [{
        weight: 7,
        podAffinityTerm: { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "agent" } } }
      }]
    }
  }
)
const mountable = [
  { name: "certificates", secret: { secretName: "certificates" } },
  { name: "modules", persistentVolumeClaim: { claimName: "modules", readOnly: true } },
  { name: "scratch", emptyDir: { medium: "Memory", sizeLimit: "64Mi" } },
  {
    name: "identity",
    projected: { sources: [{ configMap: { name: "identity" } }, { serviceAccountToken: { path: "token", audience: "vault" } }] }
  }
] as const
const mounts: Made = ({ oneOf, someOf }, key) =>
  someOf(mountable).map(({ name }) => ({
    name,
    mountPath: `/mnt/${key.split(".")[1]}/${name}`,
    ...oneOf([{ readOnly: false }, { readOnly: true }, { subPath: "a b/c" }])
  }))

const image = (key: string, ...policies: Some): Readonly<Record<string, Made>> => ({
  [`${key}.pullPolicy`]: oneOf(...policies),
  [`${key}.repository`]: repositories,
  [`${key}.tag`]: tags
})

const containerContext = (key: string, readOnly: boolean): Readonly<Record<string, Made>> => ({
  [`${key}.allowPrivilegeEscalation`]: oneOf(true),
  [`${key}.capabilities`]: oneOf({ drop: ["NET_RAW"] }, { add: ["NET_BIND_SERVICE"] }, { drop: null }),
  [`${key}.privileged`]: oneOf(true),
  [`${key}.readOnlyRootFilesystem`]: oneOf(!readOnly),
  [`${key}.runAsGroup`]: ids,
  [`${key}.runAsNonRoot`]: oneOf(false),
  [`${key}.runAsUser`]: ids,
  [`${key}.seLinuxOptions`]: seLinux,
  [`${key}.seccompProfile`]: profiles
})

const pod = (key: string): Readonly<Record<string, Made>> => ({
  [`${key}.affinity`]: affinities,
  [`${key}.nodeSelector`]: labelled,
  [`${key}.podAnnotations`]: annotations,
  [`${key}.podSecurityContext.fsGroup`]: ids,
  [`${key}.podSecurityContext.fsGroupChangePolicy`]: oneOf("Always"),
  [`${key}.podSecurityContext.runAsGroup`]: idsOfPods,
  [`${key}.podSecurityContext.runAsNonRoot`]: oneOf(false),
  [`${key}.podSecurityContext.runAsUser`]: idsOfPods,
  [`${key}.podSecurityContext.seLinuxOptions`]: seLinux,
  [`${key}.podSecurityContext.seccompProfile`]: oneOf({ type: "Unconfined" }, null),
  [`${key}.podSecurityContext.supplementalGroups`]: oneOf([3000], [3000, 4000]),
  [`${key}.podSecurityContext.sysctls`]: oneOf([{ name: "net.ipv4.tcp_syncookies", value: "1" }]),
  [`${key}.terminationGracePeriodSeconds`]: grace,
  [`${key}.tolerations`]: tolerations
})

const container = (key: string): Readonly<Record<string, Made>> => ({
  [`${key}.extraEnv`]: variables,
  ...image(`${key}.image`, "Always", "Never"),
  [`${key}.resources`]: resources
})

/** The values that each key of the chart may have besides its default, by key. */
export const alternatives: Readonly<Record<string, Made>> = {
  "agent.dataDir": oneOf("/data", "/opt/agent/work"),
  "agent.extraEnv": variables,
  ...image("agent.image", "Always", "Never"),
  ...containerContext("agent.securityContext", true),
  "agent.token": oneOf("pool-token-a1b2c3", "höchst geheim/+==", "eyJhbGciOi.eyJpc3Mi.c2ln"),
  "agent.tokenExistingSecret.key": oneOf("API_TOKEN", "agent.token"),
  "agent.tokenExistingSecret.name": oneOf("pool-credentials", "team.pool-1"),
  "agent.url": oneOf("https://runs.example.com", "http://10.9.8.7:8080"),
  ...pod("controller"),
  ...container("controller"),
  "controller.securityContext": contexts,
  fullnameOverride: oneOf("runs", "platform-runs-of-all-the-teams-in-all-the-regions-we-have", "r.1"),
  "global.extraEnv": variables,
  "global.imagePullSecrets": someOf({ name: "mirror" }, { name: "hub.credentials" }),
  "global.imageRegistry": oneOf("mirror.example.com", "mirror.example.com:5000/hub"),
  "global.podAnnotations": annotations,
  nameOverride: oneOf("pool", "b2"),
  "persistence.emptyDir.sizeLimit": quantities,
  "persistence.enabled": oneOf(true),
  "persistence.persistentVolumeClaim.accessMode": oneOf("ReadWriteOnce", "ReadWriteOncePod"),
  "persistence.persistentVolumeClaim.claimName": oneOf("shared-cache", "efs.claim"),
  "persistence.persistentVolumeClaim.storage": quantities,
  "persistence.persistentVolumeClaim.storageClassName": oneOf("-", "efs", "fast.ssd"),
  "persistence.persistentVolumeClaim.subPath": oneOf("cache", "/team/cache", "a/b c"),
  restrictMetadataService: oneOf(true),
  "serviceAccount.annotations": map(["eks.amazonaws.com/role-arn", "iam.gke.io/gcp-service-account"], texts),
  "serviceAccount.automountToken": oneOf(false),
  "serviceAccount.create": oneOf(false),
  "serviceAccount.labels": labelled,
  "serviceAccount.name": oneOf("runner-account", "sa.1"),
  "serviceAccount.tokenTTL": oneOf(600, 7200, 86400),
  ...pod("task"),
  "task.extraVolumes": (
    { someOf }
  ) => [
    ...mountable,
    ...someOf([
      { name: "settings", configMap: { name: "settings" } },
      { name: "socket", hostPath: { path: "/run/agent", type: "Directory" } }
    ])
  ],
  "task.job.backoffLimit": oneOf(1, 6),
  "task.job.ttlSecondsAfterFinished": oneOf(0, 86400),
  ...container("task.runner"),
  ...containerContext("task.runner.securityContext", false),
  ...image("task.runner.image", "Always", "Never"),
  "task.runner.extraVolumeMounts": mounts,
  "task.sidecars": someOf({ name: "proxy", image: "example.com/proxy:2", args: ["--port", "8080"] }, {
    name: "logs",
    image: "logs",
    env: [{ name: "LEVEL", value: "on" }],
    resources: { limits: { memory: "32Mi" } }
  }),
  ...container("task.worker"),
  "task.worker.securityContext": contexts,
  "task.worker.extraVolumeMounts": mounts
}
