// Turns the values into what manifests are built from: names, images, environments and security contexts, with inheritance applied.
// Invariant: what is built from the result never looks at the values; `global` reaches everything, `agent` never reaches the runner.
// Called by the CLI, the controller and generate; its tables are in test/core/resolve/resolve.test.ts.
import type { V1Container, V1LocalObjectReference, V1PodFailurePolicyRule, V1Volume } from "@kubernetes/client-node"
import type { Tree } from "../../schema/document/layers.ts"
import { installationNameLimit } from "../../schema/names.ts"
import type { Identity } from "../../schema/values/identities.ts"
import type { ProviderMirrors } from "../../schema/values/provider-mirrors.ts"
import { nodeWaitSeconds, secondsBesideStage } from "../../schema/values/task-pod.ts"
import { overrides, type Values } from "../../schema/values/values.ts"
import { accountNames } from "../task/identity.ts"
import type { TaskPolicy } from "../task/task-policy.ts"
import { canonical } from "../text/canonical.ts"
import { cutName } from "../text/cut-name.ts"
import { fingerprint } from "../text/fingerprint.ts"
import { type ContainerConfig, containers, type TaskContainerConfig } from "./containers.ts"
import {
  type ClientCertificateConfig,
  clientCertificateOf,
  mirrorsOf,
  type TaskNetworkConfig,
  taskNetworkOf,
  type TrustConfig,
  trustOf
} from "./network.ts"
import { text, type Texts } from "./plain.ts"
import { type PodConfig, podConfig } from "./pods.ts"
import { type CacheConfig, cacheOf } from "./storage.ts"

/** Identifies the installation. */
export interface Release {
  readonly name: string
  readonly namespace: string
}

export interface ControllerConfig {
  readonly pod: PodConfig
  readonly container: ContainerConfig
  readonly replicas: number
  /** How many Pods a drain must leave, as a number or a percentage; absent: no budget. */
  readonly minAvailable?: number | string
}

/** What every Pod and every container gets, and nothing of what the values give the controller and the worker. */
export interface ServerConfig {
  readonly pod: Pick<PodConfig, "annotations" | "labels">
  readonly container: Pick<ContainerConfig, "env" | "envFrom">
}

export interface TaskConfig {
  readonly pod: PodConfig
  readonly worker: TaskContainerConfig
  readonly runner: TaskContainerConfig
  readonly sidecars: ReadonlyArray<V1Container>
  readonly volumes: ReadonlyArray<V1Volume>
  readonly backoffLimit: number
  readonly ttlSecondsAfterFinished: number
  /** How many seconds a Job may take beside its stage, to start and to end in order. */
  readonly secondsBesideStage: number
  /** The most seconds that a stage may take, whatever its task says; absent: no limit. */
  readonly timeoutLimitSeconds?: number
  /** The values' rules, which come after our own. */
  readonly failureRules: ReadonlyArray<V1PodFailurePolicyRule>
  /** Where providers come from; absent: from their registries, or from where the runner's image says. */
  readonly mirrors?: ProviderMirrors
  /** Whether the Pod has a user namespace of its own, so that its users are none of the node's. */
  readonly userNamespaces: boolean
  readonly jobLabels: Texts
  readonly jobAnnotations: Texts
}

export interface AccountConfig {
  readonly name: string
  readonly create: boolean
  readonly automountToken: boolean
  readonly annotations: Texts
  readonly labels: Texts
}

export interface TokenConfig {
  readonly secret: { readonly name: string; readonly key: string }
  /** The token to put into that Secret; absent if the Secret is kept by others. */
  readonly value?: string
}

export interface ResolvedConfig {
  /** The full name, at most 40 characters, with which the names of all objects begin. */
  readonly name: string
  readonly namespace: string
  readonly taskNamespace: string
  readonly policy: TaskPolicy
  /** The server that gives work; absent: AgentTasks only come from elsewhere. */
  readonly pool?: { readonly url: string; readonly tokenSecret: { readonly name: string; readonly key: string } }
  /** The pool's token, which may be given without a URL. */
  readonly token?: TokenConfig
  /** Labels of every object, beside ours; the same for annotations. */
  readonly objectLabels: Texts
  readonly objectAnnotations: Texts
  /** The controller's service account; tasks have their own. */
  readonly account: AccountConfig
  /** The account of the tasks that no identity fits. */
  readonly taskAccountName: string
  /** At least one, in the order in which they are tried; absent: all tasks have the one account. */
  readonly identities?: ReadonlyArray<Identity>
  readonly tokenTtlSeconds: number
  readonly imagePullSecrets: ReadonlyArray<V1LocalObjectReference>
  readonly dataDir: string
  /** Size limit of the volume at `dataDir`, a quantity. */
  readonly dataSizeLimit: string
  readonly cache?: CacheConfig
  readonly trust?: TrustConfig
  /** The client certificate of controller and worker, which the runner never gets. */
  readonly clientCertificate?: ClientCertificateConfig
  /** The names that AgentTasks may refer to, as patterns, and who gets tokens of the tasks' account beside kubelets; absent: no policies. */
  readonly admissionPolicies?: {
    readonly secrets: ReadonlyArray<string>
    readonly configMaps: ReadonlyArray<string>
    readonly persistentVolumeClaims: ReadonlyArray<string>
    readonly tokenRequesters: ReadonlyArray<string>
  }
  readonly restrictMetadataService: boolean
  readonly taskNetwork: TaskNetworkConfig
  readonly controller: ControllerConfig
  readonly server: ServerConfig
  readonly task: TaskConfig
  /** The values file for the controller, which resolves to the same and has no token in it. */
  readonly controllerValues: Tree
}

const fullName = ({ fullnameOverride, nameOverride }: Values, release: string): string => {
  if (fullnameOverride !== "") return cutName(fullnameOverride, installationNameLimit)
  return cutName(nameOverride === "" || release.includes(nameOverride) ? release : `${release}-${nameOverride}`, installationNameLimit)
}

/** Kubernetes takes exit codes only in order, each once. */
const inKubernetesOrder = ({ onExitCodes, ...rule }: V1PodFailurePolicyRule): V1PodFailurePolicyRule => ({
  ...rule,
  ...(onExitCodes !== undefined && {
    onExitCodes: { ...onExitCodes, values: [...new Set(onExitCodes.values)].toSorted((a, b) => a - b) }
  })
})

const tokenOf = ({ auth, token, tokenExistingSecret: existing }: Values["agent"], name: string): TokenConfig | undefined => {
  const value = token || auth.token
  if (value !== "") return { secret: { name: `${name}-token`, key: "token" }, value }
  return existing.name === "" ? undefined : { secret: { name: existing.name, key: existing.key } }
}

const accountOf = (
  { annotations, automountToken, create, labels, name: given }: Values["serviceAccount"],
  name: string
): AccountConfig => ({
  name: given || (create ? name : "default"),
  create,
  automountToken,
  annotations,
  labels
})

const controllerOf = ({ controller, global }: Values, container: ContainerConfig): ControllerConfig => ({
  pod: podConfig(global, controller),
  container,
  replicas: controller.replicas,
  ...(controller.podDisruptionBudget.enabled && { minAvailable: controller.podDisruptionBudget.minAvailable })
})

const taskOf = ({ agent, global, task }: Values, { runner, worker }: Pick<TaskConfig, "runner" | "worker">): TaskConfig => ({
  pod: podConfig(global, task),
  worker,
  runner,
  sidecars: task.sidecars,
  volumes: task.extraVolumes,
  backoffLimit: task.job.backoffLimit,
  ttlSecondsAfterFinished: task.job.ttlSecondsAfterFinished,
  secondsBesideStage: secondsBesideStage(task),
  ...(task.job.activeDeadlineSeconds > 0 && { timeoutLimitSeconds: task.job.activeDeadlineSeconds - secondsBesideStage(task) }),
  failureRules: task.job.podFailurePolicy.rules.map(inKubernetesOrder),
  ...mirrorsOf(agent),
  userNamespaces: task.userNamespaces,
  jobLabels: task.jobLabels,
  jobAnnotations: task.jobAnnotations
})

/**
 * Returns the values for the controller. The token is replaced by the name of its Secret, and what the full name was made of is left out,
 * because the controller is given the full name.
 */
const forController = (values: Values, token: TokenConfig | undefined): Tree =>
  overrides({
    ...values,
    fullnameOverride: "",
    nameOverride: "",
    agent: { ...values.agent, token: "", auth: { token: "" }, ...(token !== undefined && { tokenExistingSecret: token.secret }) }
  })

/** Returns everything that Jobs are built from. */
const forJobs = (values: Values, name: string, taskAccountName: string, ofTask: Pick<TaskConfig, "runner" | "worker">) => {
  const cache = cacheOf(values.persistence, name)
  const trust = trustOf(values.global.tls, name)
  const clientCertificate = clientCertificateOf(values.global.tls)
  return {
    name,
    taskAccountName,
    ...(values.task.identities.length > 0 && { identities: values.task.identities }),
    tokenTtlSeconds: values.serviceAccount.tokenTTL,
    imagePullSecrets: values.global.imagePullSecrets,
    objectLabels: values.global.labels,
    objectAnnotations: values.global.annotations,
    dataDir: values.agent.dataDir,
    dataSizeLimit: text(values.persistence.emptyDir.sizeLimit),
    ...(cache !== undefined && { cache }),
    ...(trust !== undefined && { trust }),
    ...(clientCertificate !== undefined && { clientCertificate }),
    task: taskOf(values, ofTask)
  }
}

/** Returns the name of the tasks' account, which is never the controller's, whoever makes that one. */
const taskAccountNameOf = ({ serviceAccount }: Values, name: string, isBeside: boolean): string =>
  isBeside && serviceAccount.name === `${name}-task` ? `${name}-tasks` : `${name}-task`

const admissionPoliciesOf = ({ admissionPolicies: { enabled, ...allowed } }: Values): Pick<ResolvedConfig, "admissionPolicies"> =>
  enabled ? { admissionPolicies: allowed } : {}

export const resolve = (values: Values, { name: release, namespace }: Release): ResolvedConfig => {
  const name = fullName(values, release)
  const { controller, runner, server, worker } = containers(values)
  const token = tokenOf(values.agent, name)
  const taskNamespace = values.task.namespace || namespace
  const jobs = forJobs(values, name, taskAccountNameOf(values, name, taskNamespace === namespace), { runner, worker })
  return {
    ...jobs,
    namespace,
    taskNamespace,
    policy: {
      installation: { name, namespace },
      basename: name.replaceAll(".", "-"), // a Job's name with a dot gives Pods without a host name
      limits: values.task.limits,
      startupTimeoutSeconds: values.task.startupTimeoutSeconds,
      nodeWaitSeconds: nodeWaitSeconds(values.task),
      maxLaunches: 1 + values.task.job.backoffLimit,
      historyPerWorkspace: values.task.historyPerWorkspace,
      allowedKeys: values.task.allowedKeys,
      requireProvenIsolation: values.task.requireProvenIsolation,
      accounts: accountNames(jobs),
      configHash: fingerprint(canonical(jobs))
    },
    ...(token !== undefined && { token }),
    ...(token !== undefined && values.agent.url !== "" && { pool: { url: values.agent.url, tokenSecret: token.secret } }),
    account: accountOf(values.serviceAccount, name),
    ...admissionPoliciesOf(values),
    restrictMetadataService: values.restrictMetadataService,
    taskNetwork: taskNetworkOf(values.task.networkPolicy),
    controller: controllerOf(values, controller),
    server: { pod: { annotations: values.global.podAnnotations, labels: values.global.podLabels }, container: server },
    controllerValues: forController(values, token)
  }
}
