// The values: everything a person may configure, with its default and what it means, closed against typing errors.
// Names, defaults and inheritance are those of the Helm chart agent-job 0.5.59; `task.namespace`, `task.limits`, `task.startupTimeoutSeconds` and `task.historyPerWorkspace` are ours.
// Source of schemas/values.schema.json and the tables in the documentation; resolved by core/resolve.ts.
import { Effect, Result, Schema } from "effect"
import { line, located, parse } from "./explain.ts"
import { difference, isTree, type Layer, merge, type Tree } from "./layers.ts"
import { ObjectKey, ObjectName } from "./names.ts"
import * as pod from "./pod-values.ts"

/** The release of the system whose values these are: what an empty image tag means, unless the program is told another version. */
export const appVersion = "0.54.0"

/** Described first, so that both the decoder and the JSON Schema have the default. */
const value = <S extends Schema.Top>(schema: S, fallback: S["Encoded"], description: string) =>
  Schema.withDecodingDefaultKey<S>(Effect.succeed(fallback))(schema.annotate({ description, default: fallback }) as S)

/** Keys that all have defaults of their own, so that none of it need be given. */
const section = <F extends Schema.Struct.Fields>(fields: F) => withDefaults(Schema.Struct(fields))
const withDefaults = <S extends Schema.Top & { readonly Encoded: object }>(schema: S) => Schema.withDecodingDefaultKey<S>(Effect.succeed({}))(schema)
const whole = Schema.Int.check(Schema.isInt32(), Schema.isGreaterThanOrEqualTo(0))
const atLeastOne = Schema.Int.check(Schema.isInt32(), Schema.isGreaterThanOrEqualTo(1))
const optional = <S extends Schema.Schema<string>>(schema: S) => Schema.Union([Schema.Literal(""), schema])
const Path = Schema.String.check(Schema.isPattern(/^\/[^:]*$/u, { expected: "an absolute path" }))
const Url = Schema.String.check(Schema.isPattern(/^https?:\/\/[^\s/]+\S*$/u, { expected: "a URL that begins with http:// or https://" }))
const Repository = Schema.String.check(Schema.isPattern(/^[^\s:@]+(:\d+\/[^\s:@]+)?$/u, { expected: "an image's name without its tag" }))
const Tag = Schema.String.check(Schema.isPattern(/^\w[\w.-]{0,127}(@sha256:[0-9a-f]{64})?$/u, { expected: "an image's tag, with or without a digest" }))
const Namespace = Schema.String.check(Schema.isPattern(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/u, { expected: "a namespace: up to 63 lowercase letters, digits or '-'" }))

const image = (of: string, repository: string, pullPolicy: "IfNotPresent" | "") =>
  section({
    pullPolicy: value(
      pullPolicy === "" ? optional(pod.PullPolicy) : pod.PullPolicy,
      pullPolicy,
      `When the node pulls the image of ${of}: Always, IfNotPresent or Never${pullPolicy === "" ? "; empty: agent.image.pullPolicy" : ""}.`
    ),
    repository: value(repository === "" ? optional(Repository) : Repository, repository, `Image of ${of}, without its tag${repository === "" ? "; empty: agent.image.repository" : ""}.`),
    tag: value(
      optional(Tag),
      "",
      `Tag of the image of ${of}; empty: ${repository === "" ? "agent.image.tag, or else " : ""}the version of the application.`
    )
  })

const securityContext = (of: string, readOnlyRootFilesystem: boolean) =>
  section({
    allowPrivilegeEscalation: value(Schema.Boolean, false, `Lets a process in ${of} gain more privileges than its parent has.`),
    capabilities: value(pod.Capabilities, { drop: ["ALL"] }, `Linux capabilities given to (add) and taken from (drop) ${of}.`),
    privileged: value(Schema.Boolean, false, `Gives ${of} all privileges on the node.`),
    readOnlyRootFilesystem: value(Schema.Boolean, readOnlyRootFilesystem, `Leaves nothing but volumes to write to in ${of}.`),
    runAsGroup: value(pod.UserId, 1001, `Group id of ${of}.`),
    runAsNonRoot: value(Schema.Boolean, true, `Refuses root in ${of}.`),
    runAsUser: value(pod.UserId, 1001, `User id of ${of}.`),
    seLinuxOptions: value(pod.SeLinuxOptions, {}, `SELinux label of ${of}.`),
    seccompProfile: value(pod.SeccompProfile, { type: "RuntimeDefault" }, `System call filter of ${of}.`)
  })

const podSecurityContext = (of: string) =>
  section({
    fsGroup: value(pod.UserId, 1001, `Group that the volumes of ${of} belong to.`),
    fsGroupChangePolicy: value(Schema.Literals(["OnRootMismatch", "Always"]), "OnRootMismatch", `When a volume's files are given to that group: Always, or OnRootMismatch.`),
    runAsGroup: value(pod.UserId, 1001, `Group id in ${of}, unless a container has its own.`),
    runAsNonRoot: value(Schema.Boolean, true, `Refuses root in ${of}, unless a container says otherwise.`),
    runAsUser: value(pod.UserId, 1001, `User id in ${of}, unless a container has its own.`),
    seLinuxOptions: value(pod.SeLinuxOptions, {}, `SELinux label in ${of}, unless a container has its own.`),
    seccompProfile: value(pod.SeccompProfile, { type: "RuntimeDefault" }, `System call filter in ${of}, unless a container has its own.`),
    supplementalGroups: value(pod.SupplementalGroups, [], `Further groups of the processes in ${of}.`),
    sysctls: value(pod.Sysctls, [], `Kernel parameters of ${of}, as name and value.`)
  })

const scheduling = (of: string) => ({
  affinity: value(pod.Affinity, {}, `Which nodes and neighbours ${of} wants.`),
  nodeSelector: value(pod.Labels, {}, `Labels that the node of ${of} must have.`),
  podAnnotations: value(pod.Annotations, {}, `Annotations of ${of}; they go before global.podAnnotations.`),
  podSecurityContext: podSecurityContext(of),
  terminationGracePeriodSeconds: value(whole, 360, `Seconds that ${of} gets to end in order before it is killed.`),
  tolerations: value(pod.Tolerations, [], `Taints of nodes that ${of} accepts.`)
})

/** A container whose image and security context fall back to those of the agent. */
const agentContainer = (of: string, resources: pod.Resources) => ({
  extraEnv: value(pod.Environment, {}, `Environment of ${of}, over agent.extraEnv and global.extraEnv.`),
  image: image(of, "", ""),
  resources: value(pod.Resources, resources, `CPU and memory of ${of}.`),
  securityContext: value(pod.SecurityContext, {}, `Security context of ${of}; empty: agent.securityContext, else it stands alone.`)
})

const agent = section({
  auth: section({ token: value(Schema.String, "", "Another spelling of agent.token.") }),
  dataDir: value(Path, "/var/lib/scalr-agent", "Directory of the volume that worker and runner share."),
  extraEnv: value(pod.Environment, {}, "Environment of controller and worker, over global.extraEnv."),
  image: image("controller and worker", "scalr/agent", "IfNotPresent"),
  securityContext: securityContext("controller and worker", true),
  token: value(Schema.String, "", "Token of the agent pool; it is put into a Secret. Only without agent.tokenExistingSecret.name."),
  tokenExistingSecret: section({
    key: value(ObjectKey, "token", "Key of the token in that Secret."),
    name: value(optional(ObjectName), "", "A Secret of the controller's namespace that has the token of the agent pool.")
  }),
  url: value(optional(Url), "", "URL of the server that gives work; empty: only AgentTasks that others make are run.")
}).check(Schema.makeFilter(({ auth, token, tokenExistingSecret }) => {
  if (token !== "" && auth.token !== "" && token !== auth.token) return { path: ["auth", "token"], issue: "differs from agent.token; give the token once" }
  return (token !== "" || auth.token !== "") && tokenExistingSecret.name !== ""
    ? { path: ["token"], issue: "is given, and agent.tokenExistingSecret.name too; give one of them" }
    : undefined
}))

const controller = section({
  ...agentContainer("the controller", { limits: { cpu: "500m", memory: "256Mi" }, requests: { cpu: "100m", memory: "128Mi" } }),
  ...scheduling("the controller's Pod")
})

const task = section({
  ...scheduling("the Pods of tasks"),
  extraVolumes: value(Schema.mutable(Schema.Array(pod.Volume)), [], "Further volumes of the Pods of tasks."),
  historyPerWorkspace: value(whole, 20, "Finished AgentTasks of a pool that are kept in one workspace."),
  job: section({
    backoffLimit: value(whole, 0, "How often a Job that failed to start may be tried again; a stage that has begun is never repeated."),
    ttlSecondsAfterFinished: value(whole, 60, "Seconds after which an ended Job and its Pod are removed.")
  }),
  limits: section({
    perWorkspace: value(atLeastOne, 10, "Tasks of one workspace that may run at once; an apply or destroy excludes others anyway."),
    total: value(atLeastOne, 50, "Tasks that may run at once.")
  }),
  namespace: value(optional(Namespace), "", "Namespace of the tasks, their Jobs and Pods; empty: the controller's."),
  runner: section({
    extraEnv: value(pod.Environment, {}, "Environment of the runner, over global.extraEnv."),
    extraVolumeMounts: value(pod.VolumeMounts, [], "Further mounts of the runner."),
    image: image("the runner", "scalr/agent-runner", "IfNotPresent"),
    resources: value(pod.Resources, { limits: { cpu: "4000m", memory: "2048Mi" }, requests: { cpu: "500m", memory: "512Mi" } }, "CPU and memory of the runner."),
    securityContext: securityContext("the runner", false)
  }),
  sidecars: value(Schema.mutable(Schema.Array(pod.Container)), [], "Further containers of the Pods of tasks; they start before the runner and end after the worker."),
  startupTimeoutSeconds: value(atLeastOne, 180, "Seconds that a Job may take until its worker takes the task."),
  worker: section({
    ...agentContainer("the worker", { limits: { cpu: "2000m", memory: "1024Mi" }, requests: { cpu: "250m", memory: "256Mi" } }),
    extraVolumeMounts: value(pod.VolumeMounts, [], "Further mounts of the worker.")
  })
})

const persistence = section({
  emptyDir: section({ sizeLimit: value(pod.Quantity, "20Gi", "Size of the volume that worker and runner share; a Pod that uses more is evicted.") }),
  enabled: value(Schema.Boolean, false, "Keeps the cache of providers and engines on a PersistentVolumeClaim that the Pods of tasks share."),
  persistentVolumeClaim: section({
    accessMode: value(
      Schema.Literals(["ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", "ReadOnlyMany"]),
      "ReadWriteMany",
      "Access mode of the claim that is made; several nodes need ReadWriteMany."
    ),
    claimName: value(optional(ObjectName), "", "An existing claim in the namespace of the tasks; empty: one is made."),
    storage: value(pod.Quantity, "20Gi", "Size of the claim that is made."),
    storageClassName: value(
      Schema.String.check(Schema.isPattern(/^(-|([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?)$/u, { expected: "a storage class, '-' or nothing" })),
      "",
      "Storage class of the claim that is made; empty: the cluster's default; \"-\": none, so that it binds to an existing volume."
    ),
    subPath: value(Schema.String, "", "Directory in the claim's volume to use.")
  })
})

const serviceAccount = section({
  annotations: value(pod.Annotations, {}, "Annotations of the controller's service account and of the tasks' one, such as a cloud identity."),
  automountToken: value(Schema.Boolean, true, "Lets Kubernetes mount a token in the controller's Pod; without it the Pod mounts only the one it needs."),
  create: value(Schema.Boolean, true, "Makes the controller's service account; else it must exist."),
  labels: value(pod.Labels, {}, "Labels of the service account."),
  name: value(optional(ObjectName), "", "Name of the controller's service account; empty: the full name, or \"default\" if none is made."),
  tokenTTL: value(Schema.Int.check(Schema.isInt32(), Schema.isGreaterThanOrEqualTo(600)), 3600, "Life of the mounted tokens of the Kubernetes API in seconds; they are renewed before.")
})

const reserved = ["data", "private", "tmp", "api-token", "task-token", "source", "cache"]

export const Values = section({
  agent,
  controller,
  fullnameOverride: value(Schema.String, "", "Full name of all objects, instead of one made from the release's; cut at 40 characters."),
  global: section({
    extraEnv: value(pod.Environment, {}, "Environment of every container."),
    imagePullSecrets: value(pod.PullSecrets, [], "Secrets to pull the images of every Pod with, each as {name}."),
    imageRegistry: value(Schema.String, "", "Registry put before the images of controller, worker and runner."),
    podAnnotations: value(pod.Annotations, {}, "Annotations of every Pod.")
  }),
  nameOverride: value(Schema.String, "", "Put after the release's name in the names of all objects."),
  persistence,
  restrictMetadataService: value(Schema.Boolean, false, "Keeps the Pods of controller and tasks from the cloud's metadata service, 169.254.169.254, by a NetworkPolicy."),
  serviceAccount,
  task
}).check(Schema.makeFilter(({ agent: { auth, token, tokenExistingSecret, url }, task: { extraVolumes, sidecars } }) => [
  ...(url !== "" && token === "" && auth.token === "" && tokenExistingSecret.name === ""
    ? [{ path: ["agent", "url"], issue: "needs a token: give agent.token or agent.tokenExistingSecret.name" }]
    : []),
  ...extraVolumes.flatMap(({ name }, index) => reserved.includes(name) ? [{ path: ["task", "extraVolumes", index], issue: `"${name}" is the name of a volume of ours; choose another` }] : []),
  ...sidecars.flatMap(({ name }, index) =>
    ["install", "runner", "worker"].includes(name) ? [{ path: ["task", "sidecars", index], issue: `"${name}" is the name of a container of ours; choose another` }] : [])
]))
export type Values = typeof Values.Type

const decode = parse(Values)
export const defaultValues: Values = Result.getOrThrow(decode({}))

const decodeOver = (trees: ReadonlyArray<Tree>) => decode(trees.reduce(merge, defaultValues))

/** The values of a file, over the defaults. Fails with a line for every problem; an empty file (null) gives the defaults. */
export const parseValues = (input: unknown): Result.Result<Values, ReadonlyArray<string>> =>
  isTree(input) || input === null || input === undefined
    ? Result.mapError(decodeOver([input ?? {}]), (mistakes) => mistakes.map(line))
    : Result.fail(["the file: must be a map of keys, such as agent or task"])

/** The values of layers, each over those before it and all over the defaults. Fails with a line for every problem, `file:line:column path: what is wrong`. */
export const parseLayers = (layers: ReadonlyArray<Layer>): Result.Result<Values, ReadonlyArray<string>> =>
  Result.mapError(decodeOver(layers.map(({ tree }) => tree)), (mistakes) => mistakes.map(located(layers)))

/** The shortest file that gives these values. */
export const overrides = (values: Values): Tree => difference(defaultValues, values)
