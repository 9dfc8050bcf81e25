// Mutations of rendered objects, each of which makes one thing wrong, with the fact that must then fail. Each kind of fact has one.
// Used by cases.test.ts.
import { isTree, type Tree } from "./chart-values.ts"
import type { Objects } from "./objects.ts"

type Node = unknown

/** Sets the value at a path; in a list, a key of the path is the name or the index of an item. */
const put = (node: Node, [key, ...rest]: ReadonlyArray<string>, value: unknown): Node => {
  if (key === undefined) return value
  if (Array.isArray(node)) {
    return node.map((item: Node, index) => String(index) === key || (isTree(item) && item["name"] === key) ? put(item, rest, value) : item)
  }
  return { ...isTree(node) ? node : {}, [key]: put(isTree(node) ? node[key] : undefined, rest, value) }
}

export interface Mutation {
  readonly breaks: string
  readonly what: string
  /** The values that the fact needs, by key. */
  readonly given?: Tree
  readonly change: (objects: Objects) => Objects
}

/** Returns a mutation that sets one value. `path` has slashes, because labels contain dots. */
const wrong = (breaks: string, kind: string, path: string, value: unknown, given: Tree = {}): Mutation => ({
  breaks,
  what: `${kind} ${path} is ${JSON.stringify(value)}`,
  given,
  change: (objects) => objects.map((object) => object.kind === kind ? put(object, path.split("/"), value) as typeof object : object)
})

const ofContainer = (fact: string, kind: string, path: string, key: string, other: string): ReadonlyArray<Mutation> => [
  wrong(`${fact}.image`, kind, `${path}/image`, "other:1"),
  wrong(`${fact}.pullPolicy`, kind, `${path}/imagePullPolicy`, "Sometimes"),
  wrong(`${fact}.env.`, kind, `${path}/env`, [{ name: "A", value: "2" }], { [`${key}.extraEnv`]: { A: "1" } }),
  wrong(`${fact}.env (none of another)`, kind, `${path}/env`, [{ name: "A", value: "1" }], { [`${other}.extraEnv`]: { A: "1" } }),
  wrong(`${fact}.resources.limits`, kind, `${path}/resources/limits/cpu`, "3"),
  wrong(`${fact}.resources.requests`, kind, `${path}/resources/requests/memory`, "3Mi"),
  wrong(`${fact}.securityContext`, kind, `${path}/securityContext/runAsUser`, 7)
]

const ofPod = (fact: string, kind: string, key: string): ReadonlyArray<Mutation> => [
  wrong(`${fact}.podAnnotations.`, kind, "spec/template/metadata/annotations/a", "2", { [`${key}.podAnnotations`]: { a: "1" } }),
  wrong(`${fact}.podAnnotations (no others)`, kind, "spec/template/metadata/annotations/a", "1"),
  wrong(`${fact}.nodeSelector`, kind, "spec/template/spec/nodeSelector", { a: "b" }),
  wrong(`${fact}.tolerations`, kind, "spec/template/spec/tolerations", [{ operator: "Exists" }]),
  wrong(`${fact}.affinity`, kind, "spec/template/spec/affinity", { nodeAffinity: {} }),
  wrong(`${fact}.imagePullSecrets`, kind, "spec/template/spec/imagePullSecrets", [{ name: "a" }]),
  wrong(`${fact}.terminationGracePeriodSeconds`, kind, "spec/template/spec/terminationGracePeriodSeconds", 30),
  wrong(`${fact}.podSecurityContext`, kind, "spec/template/spec/securityContext/fsGroup", 7)
]

const ofMounts = (part: "runner" | "worker", path: string): ReadonlyArray<Mutation> => {
  const [volumes, mount] = [[{ name: "v", emptyDir: {} }], [{ name: "v", mountPath: "/v" }]]
  const other = part === "runner" ? "worker" : "runner"
  return [
    wrong(`job.${part}.extraVolumeMounts.`, "Job", `${path}/volumeMounts`, [{ name: "v", mountPath: "/w" }], {
      "task.extraVolumes": volumes,
      [`task.${part}.extraVolumeMounts`]: mount
    }),
    wrong(`job.${part}.extraVolumeMounts (none of the other)`, "Job", `${path}/volumeMounts`, mount, {
      "task.extraVolumes": volumes,
      [`task.${other}.extraVolumeMounts`]: mount
    })
  ]
}

const [pod, worker, runner, controller] = [
  "spec/template/spec",
  "spec/template/spec/containers/worker",
  "spec/template/spec/initContainers/runner",
  "spec/template/spec/containers/controller"
]
const persistent = { "persistence.enabled": true }
const existing = { "agent.token": "", "agent.tokenExistingSecret.name": "s" }
const policy = { restrictMetadataService: true }
const twice = (objects: Objects): Objects => [...objects, ...objects.slice(-1)]

export const mutations: ReadonlyArray<Mutation> = [
  ...ofContainer("controller", "Deployment", controller, "controller", "task.worker"),
  ...ofPod("controller", "Deployment", "controller"),
  wrong("controller.name", "Deployment", "metadata/name", "other"),
  wrong("controller.serviceAccountName", "Deployment", `${pod}/serviceAccountName`, "default"),
  wrong("controller.automount", "Deployment", `${pod}/automountServiceAccountToken`, false),
  wrong("controller.dataDirMount", "Deployment", `${controller}/volumeMounts`, []),
  wrong("controller.url", "ConfigMap", "data", {}, { "agent.url": "https://runs.example.com" }),
  ...ofContainer("job.worker", "Job", worker, "task.worker", "controller"),
  ...ofContainer("job.runner", "Job", runner, "task.runner", "agent"),
  ...ofPod("job", "Job", "task"),
  ...ofMounts("worker", worker),
  ...ofMounts("runner", runner),
  wrong("job.backoffLimit", "Job", "spec/backoffLimit", 9),
  wrong("job.ttlSecondsAfterFinished", "Job", "spec/ttlSecondsAfterFinished", 9),
  wrong("job.name", "Job", "metadata/name", "a".repeat(64)),
  wrong("job.data.mountPath", "Job", `${worker}/volumeMounts`, []),
  wrong("job.data.sharedWithRunner", "Job", `${runner}/volumeMounts`, []),
  wrong("job.data.kind", "Job", `${pod}/volumes`, [{ name: "data", persistentVolumeClaim: { claimName: "c" } }]),
  wrong("job.data.sizeLimit", "Job", `${pod}/volumes`, [{ name: "data", emptyDir: {} }]),
  wrong("job.data.claimName", "Job", `${pod}/volumes/cache/persistentVolumeClaim/claimName`, "other", persistent),
  wrong("job.data.claimMountedBelow", "Job", `${worker}/volumeMounts`, [{ name: "cache", mountPath: "/cache" }], persistent),
  wrong("job.data.runnerMountsClaim", "Job", `${runner}/volumeMounts`, [], persistent),
  wrong("job.data.subPath", "Job", `${worker}/volumeMounts`, [{ name: "cache", mountPath: "/cache", subPath: "b" }], {
    ...persistent,
    "persistence.persistentVolumeClaim.subPath": "a"
  }),
  wrong("job.sidecars", "Job", `${pod}/initContainers/s/image`, "other:1", { "task.sidecars": [{ name: "s", image: "s:1" }] }),
  wrong("job.extraVolumes", "Job", `${pod}/volumes`, [{ name: "v", hostPath: { path: "/" } }], {
    "task.extraVolumes": [{ name: "v", emptyDir: {} }]
  }),
  wrong("job.tokenTTL", "Job", `${pod}/volumes`, [{
    name: "api-token",
    projected: { sources: [{ serviceAccountToken: { path: "token", expirationSeconds: 9 } }] }
  }]),
  wrong("job.runnerHasApiToken", "Job", `${pod}/automountServiceAccountToken`, true),
  {
    breaks: "serviceAccount.create",
    what: "no ServiceAccount is made",
    change: (objects) => objects.filter(({ kind }) => kind !== "ServiceAccount")
  },
  wrong("serviceAccount.name", "ServiceAccount", "metadata/name", "other", { "serviceAccount.name": "mine" }),
  wrong("serviceAccount.annotations.", "ServiceAccount", "metadata/annotations/a", "2", { "serviceAccount.annotations": { a: "1" } }),
  wrong("serviceAccount.annotations (no others)", "ServiceAccount", "metadata/annotations/a", "1"),
  wrong("serviceAccount.labels", "ServiceAccount", "metadata/labels", {}, { "serviceAccount.labels": { a: "1" } }),
  wrong("tokenSecret.name", "Deployment", `${pod}/volumes`, [], existing),
  wrong("tokenSecret.key", "Deployment", `${pod}/volumes/pool-token/secret/items/0/key`, "other", existing),
  {
    breaks: "tokenSecret.notRendered",
    what: "the existing Secret is made",
    given: existing,
    change: (objects) => [...objects, { kind: "Secret", metadata: { name: "s", namespace: "runs" } }]
  },
  wrong("tokenSecret.value", "Secret", "stringData", {}),
  wrong("tokenSecret.onlyInSecrets", "Job", "metadata/annotations/token", "secret-7f3a"),
  wrong("networkPolicy.appliesTo.controller", "Deployment", "spec/template/metadata/labels", {}, policy),
  wrong("networkPolicy.appliesTo.task", "Job", "spec/template/metadata/labels", {}, policy),
  wrong("networkPolicy.otherEgress.controller", "NetworkPolicy", "spec/egress", [{ to: [{ ipBlock: { cidr: "0.0.0.0/0" } }] }], policy),
  wrong("networkPolicy.otherEgress.task", "NetworkPolicy", "spec/egress", [], policy),
  {
    breaks: "persistentVolumeClaim.present",
    what: "no claim is made",
    given: persistent,
    change: (objects) => objects.filter(({ kind }) => kind !== "PersistentVolumeClaim")
  },
  wrong("persistentVolumeClaim.usedByJob", "Job", `${pod}/volumes`, [], persistent),
  wrong("persistentVolumeClaim.name", "PersistentVolumeClaim", "metadata/name", "other", persistent),
  wrong("persistentVolumeClaim.accessModes", "PersistentVolumeClaim", "spec/accessModes", ["ReadWriteOnce"], persistent),
  wrong("persistentVolumeClaim.storageClassName", "PersistentVolumeClaim", "spec/storageClassName", "", persistent),
  wrong("persistentVolumeClaim.storage", "PersistentVolumeClaim", "spec/resources/requests/storage", "1Gi", persistent),
  wrong("namespace", "Job", "metadata/namespace", "elsewhere"),
  { breaks: "objects (each once)", what: "an object is there twice", change: twice }
]
