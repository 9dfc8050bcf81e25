// The promises of the Helm chart's README for a values file, as a small model that shares no code with what renders.
// Used by test/core/promises.test.ts.
import { Arbitrary, Schema } from "effect"

type Texts = { readonly [name: string]: string | number | boolean | undefined }
interface Image {
  readonly repository?: string
  readonly tag?: string
  readonly pullPolicy?: string
}
interface Context {
  readonly runAsUser?: number
  readonly readOnlyRootFilesystem?: boolean
}
interface Resources {
  readonly limits?: { readonly cpu?: string }
  readonly requests?: { readonly memory?: string }
}
interface Container {
  readonly image?: Image
  readonly extraEnv?: Texts
  readonly securityContext?: Context
  readonly resources?: Resources
}
interface Pod {
  readonly podAnnotations?: Texts
  readonly nodeSelector?: Texts
  readonly terminationGracePeriodSeconds?: number
  readonly podSecurityContext?: { readonly fsGroup?: number }
}

export interface File {
  readonly fullnameOverride?: string
  readonly global?: {
    readonly imageRegistry?: string
    readonly extraEnv?: Texts
    readonly podAnnotations?: Texts
    readonly imagePullSecrets?: ReadonlyArray<{ readonly name: string }>
  }
  readonly agent?: Omit<Container, "resources"> & { readonly dataDir?: string }
  readonly controller?: Container & Pod
  readonly task?: Pod & {
    readonly worker?: Container
    readonly runner?: Container
    readonly job?: { readonly backoffLimit?: number; readonly ttlSecondsAfterFinished?: number }
  }
  readonly serviceAccount?: { readonly create?: boolean; readonly name?: string; readonly automountToken?: boolean }
}

const maybe = Schema.optionalKey
const one = <const A extends ReadonlyArray<string | number | boolean>>(...all: A) => maybe(Schema.Literals(all))
const struct = <F extends Schema.Struct.Fields>(fields: F) => maybe(Schema.Struct(fields))
const env = (own: string) => struct({ SHARED: one(own, 1_000_000, true, ""), [own]: one("1", 1.5) })
const image = struct({ repository: one("mine/agent", "example.com/x"), tag: one("1", "2.0"), pullPolicy: one("Always", "Never") })
const context = struct({ runAsUser: one(7, 8), readOnlyRootFilesystem: one(true, false) })
const resources = struct({ limits: struct({ cpu: one("3", "5000m") }), requests: struct({ memory: one("100Mi", "128Mi") }) })
const pod = (own: string) => ({
  podAnnotations: struct({ shared: one(own), [own]: one("x") }),
  nodeSelector: struct({ disk: one("fast") }),
  terminationGracePeriodSeconds: one(0, 30),
  podSecurityContext: struct({ fsGroup: one(7) })
})
const container = (own: string) => ({ image, extraEnv: env(own), securityContext: context, resources })

export const files = Arbitrary.schema(Schema.Struct({
  fullnameOverride: one("runs"),
  global: struct({
    imageRegistry: one("hub.example.com", "hub.example.com:5000/a"),
    extraEnv: env("GLOBAL"),
    podAnnotations: struct({ shared: one("global"), global: one("x") }),
    imagePullSecrets: maybe(Schema.Array(Schema.Struct({ name: Schema.Literals(["pull", "other"]) })))
  }),
  agent: struct({ image, extraEnv: env("AGENT"), securityContext: context, dataDir: one("/data") }),
  controller: struct({ ...container("CONTROLLER"), ...pod("controller") }),
  task: struct({
    ...pod("task"),
    worker: struct(container("WORKER")),
    runner: struct(container("RUNNER")),
    job: struct({ backoffLimit: one(0, 2), ttlSecondsAfterFinished: one(0, 600) })
  }),
  serviceAccount: struct({ create: one(true, false), name: one("mine"), automountToken: one(true, false) })
}))

const printed = (layers: ReadonlyArray<Texts | undefined>) =>
  Object.fromEntries(layers.flatMap((layer) => Object.entries(layer ?? {}).map(([name, value]) => [name, String(value)])))

/** "Inherits from agent.image if empty", field by field. A tag that nobody sets is the application's version. */
const imageOf = (registry: string, version: string, ...nearest: ReadonlyArray<Image | undefined>) => {
  const field = (name: keyof Image, fallback: string) => nearest.map((_) => _?.[name]).find((_) => _ !== undefined) ?? fallback
  return {
    image: `${registry === "" ? "" : `${registry}/`}${field("repository", "")}:${field("tag", version)}`,
    pullPolicy: field("pullPolicy", "IfNotPresent")
  }
}

const isEmpty = (context: Context = {}) => Object.keys(context).length === 0
const resourcesOf = (given: Resources | undefined, cpu: string, memory: string) => ({
  cpu: given?.limits?.cpu ?? cpu,
  memory: given?.requests?.memory ?? memory
})

/**
 * Returns what must be in the controller's Deployment and in a task's Job. `version` is the application's, and `release` is the release's
 * name.
 */
export const facts = ({ agent, controller, fullnameOverride, global, serviceAccount, task }: File, version: string, release: string) => {
  const registry = global?.imageRegistry ?? ""
  const ofAgent = {
    runAsUser: agent?.securityContext?.runAsUser ?? 1001,
    readOnlyRootFilesystem: agent?.securityContext?.readOnlyRootFilesystem ?? true
  }
  const own = (given: Context | undefined) =>
    isEmpty(given) ? ofAgent : { runAsUser: given?.runAsUser, readOnlyRootFilesystem: given?.readOnlyRootFilesystem }
  const agentsImage = { repository: "scalr/agent" }
  const podFacts = (given: Pod | undefined) => ({
    annotations: printed([global?.podAnnotations, given?.podAnnotations]),
    nodeSelector: given?.nodeSelector ?? {},
    grace: given?.terminationGracePeriodSeconds ?? 360,
    fsGroup: given?.podSecurityContext?.fsGroup ?? 1001,
    pullSecrets: global?.imagePullSecrets ?? []
  })
  const name = fullnameOverride ?? release
  return {
    controller: {
      ...imageOf(registry, version, controller?.image, agent?.image, agentsImage),
      env: printed([global?.extraEnv, agent?.extraEnv, controller?.extraEnv]),
      context: own(controller?.securityContext),
      resources: resourcesOf(controller?.resources, "500m", "128Mi")
    },
    worker: {
      ...imageOf(registry, version, task?.worker?.image, agent?.image, agentsImage),
      env: printed([global?.extraEnv, agent?.extraEnv, task?.worker?.extraEnv]),
      context: own(task?.worker?.securityContext),
      resources: resourcesOf(task?.worker?.resources, "2000m", "256Mi")
    },
    runner: {
      ...imageOf(registry, version, task?.runner?.image, { repository: "scalr/agent-runner" }),
      env: printed([global?.extraEnv, task?.runner?.extraEnv]),
      context: {
        runAsUser: task?.runner?.securityContext?.runAsUser ?? 1001,
        readOnlyRootFilesystem: task?.runner?.securityContext?.readOnlyRootFilesystem ?? false
      },
      resources: resourcesOf(task?.runner?.resources, "4000m", "512Mi")
    },
    controllerPod: {
      ...podFacts(controller),
      account: serviceAccount?.name ?? (serviceAccount?.create === false ? "default" : name),
      automount: serviceAccount?.automountToken ?? true
    },
    taskPod: podFacts(task),
    job: { backoffLimit: task?.job?.backoffLimit ?? 0, ttl: task?.job?.ttlSecondsAfterFinished ?? 60 },
    dataDir: agent?.dataDir ?? "/var/lib/scalr-agent"
  }
}
