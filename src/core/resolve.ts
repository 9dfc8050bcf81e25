// From the values to what is built of them: names, images, environments and security contexts with their inheritance applied.
// Invariant: nothing beyond this looks at the values; global reaches everything, agent never reaches the runner.
// Called by the CLI, the controller and generate; its tables are in test/core/resolve.test.ts.
import type { V1Affinity, V1Container, V1LocalObjectReference, V1PodSecurityContext, V1ResourceRequirements, V1SecurityContext, V1Toleration, V1Volume, V1VolumeMount } from "@kubernetes/client-node"
import type { Tree } from "../schema/layers.ts"
import type { Environment, Quantity, Resources, SecurityContext } from "../schema/pod-values.ts"
import { overrides, type Values } from "../schema/values.ts"
import { fingerprint } from "./fingerprint.ts"
import type { TaskPolicy } from "./task-policy.ts"

/** Which installation it is. */
export interface Release {
  readonly name: string
  readonly namespace: string
  /** Of the application: what an empty image tag means. */
  readonly version: string
}

/** Variables by name, all of them text. */
export type Variables = Readonly<Record<string, string>>
type Texts = Readonly<Record<string, string>>

export interface ContainerConfig {
  readonly image: string
  readonly imagePullPolicy: string
  readonly env: Variables
  readonly resources: V1ResourceRequirements
  readonly securityContext: V1SecurityContext
}

export interface TaskContainerConfig extends ContainerConfig {
  readonly volumeMounts: ReadonlyArray<V1VolumeMount>
}

/** What the values say of a Pod as a whole. */
export interface PodConfig {
  readonly annotations: Texts
  readonly nodeSelector: Texts
  readonly affinity: V1Affinity
  readonly tolerations: ReadonlyArray<V1Toleration>
  readonly securityContext: V1PodSecurityContext
  readonly terminationGracePeriodSeconds: number
}

export interface ControllerConfig {
  readonly pod: PodConfig
  readonly container: ContainerConfig
}

export interface TaskConfig {
  readonly pod: PodConfig
  readonly worker: TaskContainerConfig
  readonly runner: TaskContainerConfig
  readonly sidecars: ReadonlyArray<V1Container>
  readonly volumes: ReadonlyArray<V1Volume>
  readonly backoffLimit: number
  readonly ttlSecondsAfterFinished: number
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
  /** To be put into that Secret; absent when the Secret is somebody else's. */
  readonly value?: string
}

/** The cache of providers and engines that the Pods of tasks share. */
export interface CacheConfig {
  readonly claimName: string
  /** Directory in the volume, without a slash at its ends; empty: all of it. */
  readonly subPath: string
  /** The claim to make; absent when it exists. `storageClassName` absent: the cluster's default. */
  readonly claim?: { readonly accessMode: string; readonly storage: string; readonly storageClassName?: string }
}

export interface ResolvedConfig {
  /** Full name, at most 40 characters: what the names of all objects begin with. */
  readonly name: string
  readonly namespace: string
  readonly taskNamespace: string
  readonly version: string
  /** Of everything that Jobs are built from. */
  readonly configHash: string
  readonly policy: TaskPolicy
  /** The server that gives work; absent: AgentTasks come from elsewhere only. */
  readonly pool?: { readonly url: string; readonly tokenSecret: { readonly name: string; readonly key: string } }
  /** The pool's token, which may be given without a URL. */
  readonly token?: TokenConfig
  /** The controller's service account; tasks have their own. */
  readonly account: AccountConfig
  readonly taskAccountName: string
  readonly tokenTtlSeconds: number
  readonly imagePullSecrets: ReadonlyArray<V1LocalObjectReference>
  readonly dataDir: string
  /** Size limit of the volume at `dataDir`, a quantity. */
  readonly dataSizeLimit: string
  readonly cache?: CacheConfig
  readonly restrictMetadataService: boolean
  readonly controller: ControllerConfig
  readonly task: TaskConfig
  /** The values file that the controller gets: it resolves to the same, and has no token in it. */
  readonly controllerValues: Tree
}

const nameLimit = 40
const trimmed = (name: string): string => name.slice(0, nameLimit).replace(/[-.]+$/u, "")

const fullName = ({ fullnameOverride, nameOverride }: Values, release: string): string => {
  if (fullnameOverride !== "") return trimmed(fullnameOverride)
  return trimmed(nameOverride === "" || release.includes(nameOverride) ? release : `${release}-${nameOverride}`)
}

/** A number as it was meant: 1000000, never 1e+06. */
const text = (value: string | number | boolean): string => typeof value === "number" && Number.isInteger(value) ? BigInt(value).toString() : String(value)

/** Later ones win. */
const environment = (...layers: ReadonlyArray<Environment>): Variables =>
  Object.fromEntries(layers.flatMap((layer) => Object.entries(layer).map(([name, value]) => [name, text(value)])))

interface Image {
  readonly repository: string
  readonly tag: string
  readonly pullPolicy: string
}

/** Field by field. */
const inherit = (own: Image, from: Image): Image => ({
  repository: own.repository || from.repository,
  tag: own.tag || from.tag,
  pullPolicy: own.pullPolicy || from.pullPolicy
})

const isEmpty = (value: unknown): boolean => typeof value === "object" && value !== null && Object.keys(value).length === 0

const securityContext = ({ seLinuxOptions, ...rest }: SecurityContext): V1SecurityContext => ({
  ...rest,
  ...(seLinuxOptions !== undefined && !isEmpty(seLinuxOptions) && { seLinuxOptions })
})

/** A container's own security context if it has one, else the agent's; never a mixture. */
const orElse = (own: SecurityContext, from: SecurityContext): V1SecurityContext => securityContext(isEmpty(own) ? from : own)

const podSecurityContext = ({ seLinuxOptions, supplementalGroups, sysctls, ...rest }: Values["task"]["podSecurityContext"]): V1PodSecurityContext => ({
  ...rest,
  ...(!isEmpty(seLinuxOptions) && { seLinuxOptions }),
  ...(supplementalGroups.length > 0 && { supplementalGroups }),
  ...(sysctls.length > 0 && { sysctls })
})

const quantities = (record: Readonly<Record<string, Quantity>>): Record<string, string> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, text(value)]))

const resources = ({ claims, limits, requests }: Resources): V1ResourceRequirements => ({
  ...(claims !== undefined && { claims }),
  ...(limits !== undefined && { limits: quantities(limits) }),
  ...(requests !== undefined && { requests: quantities(requests) })
})

const podConfig = (values: Values, of: Values["controller"] | Values["task"]): PodConfig => ({
  annotations: { ...values.global.podAnnotations, ...of.podAnnotations },
  nodeSelector: of.nodeSelector,
  affinity: of.affinity,
  tolerations: of.tolerations,
  securityContext: podSecurityContext(of.podSecurityContext),
  terminationGracePeriodSeconds: of.terminationGracePeriodSeconds
})

/** The three containers of ours, each with what it inherits. */
const containers = ({ agent, controller, global, task }: Values, version: string) => {
  const registry = global.imageRegistry === "" ? "" : `${global.imageRegistry.replace(/\/+$/u, "")}/`
  const image = ({ pullPolicy, repository, tag }: Image) => ({ image: `${registry}${repository}:${tag || version}`, imagePullPolicy: pullPolicy })
  const ofAgent = (own: Values["controller"] | Values["task"]["worker"]): ContainerConfig => ({
    ...image(inherit(own.image, agent.image)),
    env: environment(global.extraEnv, agent.extraEnv, own.extraEnv),
    resources: resources(own.resources),
    securityContext: orElse(own.securityContext, agent.securityContext)
  })
  return {
    controller: ofAgent(controller),
    worker: { ...ofAgent(task.worker), volumeMounts: task.worker.extraVolumeMounts },
    runner: {
      ...image(task.runner.image),
      env: environment(global.extraEnv, task.runner.extraEnv),
      resources: resources(task.runner.resources),
      securityContext: securityContext(task.runner.securityContext),
      volumeMounts: task.runner.extraVolumeMounts
    }
  }
}

const tokenOf = ({ auth, token, tokenExistingSecret: existing }: Values["agent"], name: string): TokenConfig | undefined => {
  const value = token || auth.token
  if (value !== "") return { secret: { name: `${name}-token`, key: "token" }, value }
  return existing.name === "" ? undefined : { secret: { name: existing.name, key: existing.key } }
}

const cacheOf = ({ enabled, persistentVolumeClaim: { accessMode, claimName, storage, storageClassName, subPath } }: Values["persistence"], name: string): CacheConfig | undefined => {
  if (!enabled) return undefined
  const place = { claimName: claimName || `${name}-cache`, subPath: subPath.replace(/^\/+|\/+$/gu, "") }
  if (claimName !== "") return place
  const storageClass = storageClassName === "" ? {} : { storageClassName: storageClassName === "-" ? "" : storageClassName }
  return { ...place, claim: { accessMode, storage: text(storage), ...storageClass } }
}

const accountOf = ({ annotations, automountToken, create, labels, name: given }: Values["serviceAccount"], name: string): AccountConfig => ({
  name: given || (create ? name : "default"),
  create,
  automountToken,
  annotations,
  labels
})

/** The same text for the same data, in whatever order its keys were written. */
const canonical = (data: unknown): string =>
  JSON.stringify(data, (_, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)) : value)

/** A token is replaced by the name of its Secret, and what the name was made of by nothing: the controller is told the full name. */
const forController = (values: Values, token: TokenConfig | undefined): Tree =>
  overrides({
    ...values,
    fullnameOverride: "",
    nameOverride: "",
    agent: { ...values.agent, token: "", auth: { token: "" }, ...(token !== undefined && { tokenExistingSecret: token.secret }) }
  })

export const resolve = (values: Values, { name: release, namespace, version }: Release): ResolvedConfig => {
  const name = fullName(values, release)
  const { controller, runner, worker } = containers(values, version)
  const token = tokenOf(values.agent, name)
  const cache = cacheOf(values.persistence, name)
  const forJobs = {
    name,
    taskAccountName: `${name}-task`,
    tokenTtlSeconds: values.serviceAccount.tokenTTL,
    imagePullSecrets: values.global.imagePullSecrets,
    dataDir: values.agent.dataDir,
    dataSizeLimit: text(values.persistence.emptyDir.sizeLimit),
    ...(cache !== undefined && { cache }),
    task: {
      pod: podConfig(values, values.task),
      worker,
      runner,
      sidecars: values.task.sidecars,
      volumes: values.task.extraVolumes,
      ...values.task.job
    }
  }
  const configHash = fingerprint(canonical(forJobs))
  return {
    ...forJobs,
    namespace,
    taskNamespace: values.task.namespace || namespace,
    version,
    configHash,
    policy: {
      basename: name.replaceAll(".", "-"), // a Job's name with a dot gives Pods without a host name
      limits: values.task.limits,
      startupTimeoutSeconds: values.task.startupTimeoutSeconds,
      maxLaunches: 1 + values.task.job.backoffLimit,
      historyPerWorkspace: values.task.historyPerWorkspace,
      configHash
    },
    ...(token !== undefined && { token }),
    ...(token !== undefined && values.agent.url !== "" && { pool: { url: values.agent.url, tokenSecret: token.secret } }),
    account: accountOf(values.serviceAccount, name),
    restrictMetadataService: values.restrictMetadataService,
    controller: { pod: podConfig(values, values.controller), container: controller },
    controllerValues: forController(values, token)
  }
}
