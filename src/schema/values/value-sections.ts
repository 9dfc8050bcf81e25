// The sections of the values: every key with its default and its description.
// Invariant: a key of the Helm chart agent-job 0.5.59 has the chart's name and default. A newer key changes nothing until it is given.
// Source of schemas/values.schema.json and the tables in the documentation (schema/values/values-document); decoded by schema/values/values.
import { Schema } from "effect"
import { ObjectKey, Subdomain } from "../names.ts"
import { agentContainer, environment, image, scheduling, securityContext } from "./component-values.ts"
import { identities } from "./identities.ts"
import { mirrors, proxy, taskNetworkPolicy, tls } from "./network-values.ts"
import * as pod from "./pod-values.ts"
import { atLeastOne, Namespace, orEmpty, Path, section, StorageClass, Url, value, whole } from "./value.ts"

const agent = section({
  auth: section({ token: value(Schema.String, "", "Another spelling of agent.token.") }),
  dataDir: value(
    Path,
    "/var/lib/scalr-agent",
    "Directory of the volume that worker and runner share. After a change of it, plans that have modules and wait for approval must be made again."
  ),
  ...environment("controller and worker", "global.extraEnv"),
  ...mirrors,
  image: image("controller and worker", "scalr/agent", "IfNotPresent"),
  securityContext: securityContext("controller and worker", true),
  token: value(Schema.String, "", "Token of the agent pool; it is put into a Secret. Only without agent.tokenExistingSecret.name."),
  tokenExistingSecret: section({
    key: value(ObjectKey, "token", "Key of the token in that Secret."),
    name: value(orEmpty(Subdomain), "", "A Secret of the controller's namespace that has the token of the agent pool.")
  }),
  url: value(orEmpty(Url), "", "URL of the server that gives work; empty: only AgentTasks that others make are run.")
})

const controller = section({
  ...agentContainer("the controller", { limits: { cpu: "500m", memory: "256Mi" }, requests: { cpu: "100m", memory: "128Mi" } }),
  ...scheduling("the controller's Pod"),
  podDisruptionBudget: section({
    enabled: value(Schema.Boolean, false, "Makes a PodDisruptionBudget for the controller's Pods, which a drain of nodes respects."),
    minAvailable: value(pod.CountOrPercent, 1, "Pods of the controller that a drain must leave, as a number or a percentage.")
  }),
  replicas: value(whole, 1, "Pods of the controller: one leads, the others stand by; 0 pauses everything that has not begun.")
})

const task = section({
  ...scheduling("a task's Pod"),
  allowedKeys: value(
    pod.PrefixedKeys,
    [],
    "Keys of labels and annotations that an AgentTask may set in its jobTemplate, such as example.com/team, and of resources that it may ask for, such as nvidia.com/gpu, or all keys of a prefix, such as example.com/. Keys without a prefix are free, and no task replaces a label or annotation of the values. An allowed key may speak to a webhook or a driver, which gives the Pod whatever the task asks for."
  ),
  extraVolumes: value(Schema.mutable(Schema.Array(pod.Volume)), [], "Further volumes of the Pods of tasks."),
  historyPerWorkspace: value(
    whole,
    20,
    "Finished AgentTasks of a pool, and of attempts at new revisions, that are kept in one workspace: so many plans, and as many applies and destroys. Of all workspaces together, the newest 1,000 plans and the newest 2,000 applies and destroys are kept."
  ),
  identities,
  job: section({
    activeDeadlineSeconds: value(
      whole,
      0,
      "Longest life of a Job in seconds, from its start to an orderly end; tasks with a longer timeout get a shorter one. Its Pod then has no longer for a node, a volume that another node still has, or a token, than task.startupTimeoutSeconds. 0: the task's timeout, plus 15 minutes for such waits, and three days in which an apply that has ended can save its state, while the server is away or because its backend did not take it."
    ),
    backoffLimit: value(whole, 0, "How often a Job that failed to start may be tried again; a stage that has begun is never repeated."),
    podFailurePolicy: section({
      rules: value(
        pod.FailureRules,
        [],
        "Ends of Pods after which a Job is not tried again, as in a Job's podFailurePolicy; only the action FailJob, since Ignore and Count let Kubernetes start a Pod again without knowing whether the stage had begun."
      )
    }),
    ttlSecondsAfterFinished: value(whole, 60, "Seconds after which an ended Job and its Pod are removed.")
  }),
  jobAnnotations: value(
    pod.Annotations,
    {},
    "Annotations of the Jobs of tasks; they override those of global.annotations with the same key."
  ),
  jobLabels: value(pod.OwnLabels, {}, "Labels of the Jobs of tasks; they override those of global.labels with the same key."),
  limits: section({
    perWorkspace: value(atLeastOne, 10, "Tasks of one workspace that may run at once; an apply or destroy excludes others anyway."),
    total: value(atLeastOne, 50, "Tasks that may run at once.")
  }),
  namespace: value(
    orEmpty(Namespace),
    "",
    "Namespace of the tasks, their Jobs and Pods; empty: the controller's. Of one installation alone: a controller runs every AgentTask that it finds there."
  ),
  networkPolicy: taskNetworkPolicy,
  requireProvenIsolation: value(
    Schema.Boolean,
    false,
    "Lets nothing start before `agent-job doctor` has proven that the network holds to policies and that metadata services are closed, for the present values."
  ),
  runner: section({
    ...environment("the runner", "global.extraEnv"),
    extraVolumeMounts: value(pod.VolumeMounts, [], "Further mounts of the runner."),
    image: image("the runner", "scalr/agent-runner", "IfNotPresent"),
    resources: value(
      pod.Resources,
      { limits: { cpu: "4000m", memory: "2048Mi" }, requests: { cpu: "500m", memory: "512Mi" } },
      "CPU and memory of the runner."
    ),
    securityContext: securityContext("the runner", false)
  }),
  runtimeClassName: value(
    orEmpty(Subdomain),
    "",
    "Runtime class of the Pods of tasks, such as one with a sandbox, which has to share a volume between containers; it must exist."
  ),
  sidecars: value(
    Schema.mutable(Schema.Array(pod.Container)),
    [],
    "Further containers of the Pods of tasks; they start before the runner and end after the worker, so their restartPolicy is always Always."
  ),
  startupTimeoutSeconds: value(
    atLeastOne,
    180,
    "Seconds that a Job may take until its worker takes the task. The time in which a quota leaves no room for its Pod, a webhook for that does not answer, the Job is suspended, the Pod has no node, another node still has a volume of it, or the token of its run's stage is not stored yet does not count; for a node, a volume or a token there are 15 minutes, or as many seconds as this if they are more or if task.job.activeDeadlineSeconds is given."
  ),
  userNamespaces: value(
    Schema.Boolean,
    false,
    "Gives the Pods of tasks users of their own, so that none of theirs is one of the node (hostUsers: false). The nodes must support it, and the API server: before Kubernetes 1.33 it drops this without a word unless its feature gate UserNamespacesSupport is on."
  ),
  worker: section({
    ...agentContainer("the worker", { limits: { cpu: "2000m", memory: "1024Mi" }, requests: { cpu: "250m", memory: "256Mi" } }),
    extraVolumeMounts: value(pod.VolumeMounts, [], "Further mounts of the worker.")
  })
})

const persistence = section({
  emptyDir: section({
    sizeLimit: value(pod.Quantity, "20Gi", "Size of the volume that worker and runner share; a Pod that uses more is evicted.")
  }),
  enabled: value(
    Schema.Boolean,
    false,
    "Mounts a PersistentVolumeClaim that the Pods of tasks share. It holds states that could not be saved, encrypted (docs/state.md); nothing uses it as a cache of providers and engines yet."
  ),
  hostPath: section({
    path: value(
      orEmpty(Path),
      "",
      "Directory of each node that the Pods of tasks there share instead of a claim; user 1001 must be able to write it, and Pod Security baseline and restricted refuse it."
    ),
    type: value(
      orEmpty(Schema.Literals(["Directory", "DirectoryOrCreate"])),
      "Directory",
      "Directory: it must be there; DirectoryOrCreate: made for root where it is not; empty: not looked at."
    )
  }),
  persistentVolumeClaim: section({
    accessMode: value(
      Schema.Literals(["ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", "ReadOnlyMany"]),
      "ReadWriteMany",
      "Access mode of the claim that is made; several nodes need ReadWriteMany."
    ),
    claimName: value(orEmpty(Subdomain), "", "An existing claim in the namespace of the tasks; empty: one is made."),
    storage: value(pod.Quantity, "20Gi", "Size of the claim that is made."),
    storageClassName: value(
      StorageClass,
      "",
      "Storage class of the claim that is made; empty: the cluster's default; \"-\": none, so that it binds to an existing volume."
    ),
    subPath: value(Schema.String, "", "Directory in the claim's volume to use.")
  })
})

const serviceAccount = section({
  annotations: value(
    pod.Annotations,
    {},
    "Annotations of the controller's service account and of the tasks' one, such as a cloud identity."
  ),
  automountToken: value(
    Schema.Boolean,
    true,
    "Lets Kubernetes mount a token in the controller's Pod; without it the Pod mounts only the one it needs."
  ),
  create: value(Schema.Boolean, true, "Makes the controller's service account; else it must exist."),
  labels: value(pod.Labels, {}, "Labels of the service account."),
  name: value(orEmpty(Subdomain), "", "Name of the controller's service account; empty: the full name, or \"default\" if none is made."),
  tokenTTL: value(
    Schema.Int.check(Schema.isInt32(), Schema.isGreaterThanOrEqualTo(600)),
    3600,
    "Life of the mounted tokens of the Kubernetes API in seconds; they are renewed before."
  )
})

const allowed = (what: string) =>
  value(
    pod.NamePatterns,
    ["*"],
    `${what} of the tasks' namespace that an AgentTask may name, each by its name or by the beginning of names and *.`
  )
const exceptOwn = (what: string) =>
  value(
    pod.NamePatterns,
    ["*"],
    `${what} of the tasks' namespace that an AgentTask may name, but for the installation's own, each by its name or by the beginning of names and *.`
  )

const admissionPolicies = section({
  configMaps: allowed("ConfigMaps"),
  enabled: value(
    Schema.Boolean,
    false,
    "Lets the API server hold tasks to what they are for, by ValidatingAdmissionPolicies (Kubernetes 1.30): a token writes the status of its own task alone, only the controller's Jobs run as the tasks' account, in our shape, only kubelets get tokens of it, and the controller writes no Secret but the tokens of tasks."
  ),
  persistentVolumeClaims: exceptOwn("PersistentVolumeClaims"),
  secrets: exceptOwn("Secrets"),
  tokenRequesters: value(
    pod.UserNames,
    [],
    "Users and groups that get tokens of the tasks' account beside kubelets, such as the syncer of a vCluster or a virtual kubelet, which ask for those of the Pods that they run. Whoever is named can write the result of any task."
  )
})

export const Sections = section({
  admissionPolicies,
  agent,
  controller,
  fullnameOverride: value(
    orEmpty(Subdomain),
    "",
    "Full name of all objects, instead of one made from the release's; cut at 40 characters."
  ),
  global: section({
    annotations: value(
      pod.Annotations,
      {},
      "Annotations of the Jobs of tasks, and of every object that the installation is made of but the CustomResourceDefinition, which installations share."
    ),
    ...environment("every container", ""),
    imagePullSecrets: value(pod.PullSecrets, [], "Secrets to pull the images of every Pod with, each as {name}."),
    imageRegistry: value(Schema.String, "", "Registry put before the images of controller, worker and runner."),
    labels: value(pod.OwnLabels, {}, "Labels of what global.annotations is on, so not of Pods."),
    podAnnotations: value(pod.Annotations, {}, "Annotations of every Pod."),
    podLabels: value(pod.OwnLabels, {}, "Labels of every Pod."),
    proxy,
    tls
  }),
  nameOverride: value(orEmpty(Subdomain), "", "Put after the release's name in the names of all objects."),
  persistence,
  restrictMetadataService: value(
    Schema.Boolean,
    false,
    "Keeps the Pods of controller and tasks from the metadata services of clouds, 169.254.169.254 and others, and from link-local addresses, but for DNS, by a NetworkPolicy."
  ),
  serviceAccount,
  task
})
export type Sections = typeof Sections.Type
