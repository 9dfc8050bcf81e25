// Our containers as the values want them: image, environment, resources and security context, each with what it inherits.
// Invariant: global reaches all of them, agent never the runner. The nearer of two values of a variable counts, and a person's before ours.
// Used by core/resolve/resolve, and as a type in core/manifest; its tables are in test/core/resolve/resolve.test.ts.
import type { V1EnvFromSource, V1ResourceRequirements, V1SecurityContext, V1VolumeMount } from "@kubernetes/client-node"
import type { Environment, EnvironmentSources, Quantity, Resources, SecurityContext } from "../../schema/values/pod-values.ts"
import { appVersion, type Values } from "../../schema/values/values.ts"
import { proxyVariables, trustVariables } from "./network.ts"
import { isEmpty, text, type Texts } from "./plain.ts"

export interface ContainerConfig {
  readonly image: string
  readonly imagePullPolicy: string
  readonly env: Texts
  readonly envFrom: ReadonlyArray<V1EnvFromSource>
  readonly resources: V1ResourceRequirements
  readonly securityContext: V1SecurityContext
}

export interface TaskContainerConfig extends ContainerConfig {
  readonly volumeMounts: ReadonlyArray<V1VolumeMount>
}

interface Given {
  readonly extraEnv: Environment
  readonly extraEnvFrom: EnvironmentSources
}

/**
 * Returns the variables that a person gives, later layers over earlier ones, and those of ours that nobody gives in upper or lower case.
 */
const environment = (ours: Texts, ...layers: ReadonlyArray<Given>): Pick<ContainerConfig, "env" | "envFrom"> => {
  const given = layers.flatMap(({ extraEnv }) => Object.entries(extraEnv))
  const names = new Set(given.map(([name]) => name.toUpperCase()))
  return {
    env: Object.fromEntries([
      ...Object.entries(ours).filter(([name]) => !names.has(name.toUpperCase())),
      ...given.map(([name, value]) => [name, text(value)] as const)
    ]),
    envFrom: layers.flatMap(({ extraEnvFrom }) => extraEnvFrom)
  }
}

interface Image {
  readonly repository: string
  readonly tag: string
  readonly pullPolicy: string
}

/** Returns an image in which each empty field is inherited. */
const inherit = (own: Image, from: Image): Image => ({
  repository: own.repository || from.repository,
  tag: own.tag || from.tag,
  pullPolicy: own.pullPolicy || from.pullPolicy
})

const securityContext = ({ seLinuxOptions, ...rest }: SecurityContext): V1SecurityContext => ({
  ...rest,
  ...(seLinuxOptions !== undefined && !isEmpty(seLinuxOptions) && { seLinuxOptions })
})

/** Returns a container's own security context if it has one, otherwise the agent's, and never a mixture. */
const orElse = (own: SecurityContext, from: SecurityContext): V1SecurityContext => securityContext(isEmpty(own) ? from : own)

const quantities = (record: Readonly<Record<string, Quantity>>): Record<string, string> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, text(value)]))

const resources = ({ claims, limits, requests }: Resources): V1ResourceRequirements => ({
  ...(claims !== undefined && { claims }),
  ...(limits !== undefined && { limits: quantities(limits) }),
  ...(requests !== undefined && { requests: quantities(requests) })
})

export interface Containers {
  readonly controller: ContainerConfig
  /** What the server's container has of its own. The rest of it is the controller's. */
  readonly server: Pick<ContainerConfig, "env" | "envFrom">
  readonly worker: TaskContainerConfig
  readonly runner: TaskContainerConfig
}

/** Returns our containers. An empty tag means the version of the application. */
export const containers = ({ agent, controller, global, task }: Values): Containers => {
  const registry = global.imageRegistry === "" ? "" : `${global.imageRegistry.replace(/\/+$/u, "")}/`
  const image = ({ pullPolicy, repository, tag }: Image) => ({
    image: `${registry}${repository}:${tag || appVersion}`,
    imagePullPolicy: pullPolicy
  })
  const proxy = proxyVariables(global.proxy, agent.url)
  const trust = trustVariables(global.tls)
  const ofAgent = (own: Values["controller"] | Values["task"]["worker"]): ContainerConfig => ({
    ...image(inherit(own.image, agent.image)),
    ...environment({ ...proxy, ...trust.node }, global, agent, own),
    resources: resources(own.resources),
    securityContext: orElse(own.securityContext, agent.securityContext)
  })
  return {
    controller: ofAgent(controller),
    server: environment(proxy, global),
    worker: { ...ofAgent(task.worker), volumeMounts: task.worker.extraVolumeMounts },
    runner: {
      ...image(task.runner.image),
      ...environment({ ...proxy, ...trust.go }, global, task.runner),
      resources: resources(task.runner.resources),
      securityContext: securityContext(task.runner.securityContext),
      volumeMounts: task.runner.extraVolumeMounts
    }
  }
}
