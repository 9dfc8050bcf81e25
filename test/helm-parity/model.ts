// The promises of the chart's README as one function: from a values file to the facts that must hold for everything rendered from it.
// Invariant: it is written from the promises alone and uses no code of the product.
// Used by generate.ts and cases.test.ts.
import type { V1PodSecurityContext, V1SecurityContext } from "@kubernetes/client-node"
import {
  type ChartValues,
  chartValues,
  type ContainerValues,
  type Image,
  type PodValues,
  type Tree,
  type Variables
} from "./chart-values.ts"
import type { ContainerFacts, DataFacts, Facts, MadeName, PodFacts, TaskContainerFacts, Texts } from "./facts.ts"

const applicationVersion = "0.54.0"
const metadataService = "169.254.169.254/32"

/** Returns the layers of variables that each container gets; a later layer wins. */
const variablesOf = ({ agent, controller, global, task }: ChartValues) => ({
  controller: [global.extraEnv, agent.extraEnv, controller.extraEnv],
  worker: [global.extraEnv, agent.extraEnv, task.worker.extraEnv],
  runner: [global.extraEnv, task.runner.extraEnv]
})
type Part = keyof ReturnType<typeof variablesOf>

const together = (layers: ReadonlyArray<Variables>): Texts =>
  Object.fromEntries(layers.flatMap(Object.entries).map(([name, value]) => [name, String(value)]))
const without = (all: ReadonlyArray<string>, own: ReadonlyArray<string>): ReadonlyArray<string> =>
  [...new Set(all)].filter((name) => !own.includes(name)).sort()

const environment = (values: ChartValues, part: Part): Pick<ContainerFacts, "env" | "envAbsent"> => {
  const layers = variablesOf(values)
  const env = together(layers[part])
  return { env, envAbsent: without(Object.values(layers).flat().flatMap(Object.keys), Object.keys(env)) }
}

const image = (
  { global: { imageRegistry } }: ChartValues,
  own: Image,
  inherited: Image = own
): Pick<ContainerFacts, "image" | "pullPolicy"> => {
  const name = `${own.repository || inherited.repository}:${own.tag || inherited.tag || applicationVersion}`
  return { image: imageRegistry === "" ? name : `${imageRegistry}/${name}`, pullPolicy: own.pullPolicy || inherited.pullPolicy }
}

const inherited = ["runAsGroup", "runAsNonRoot", "runAsUser", "seLinuxOptions", "seccompProfile"]
const says = (value: unknown): boolean => typeof value !== "object" || value === null || Object.keys(value).length > 0

/** Returns the security context in force for a container: its own settings over the ones it inherits from its Pod. */
const applied = (own: V1SecurityContext, pod: V1PodSecurityContext): V1SecurityContext => ({
  ...Object.fromEntries(Object.entries(pod).filter(([key, value]) => inherited.includes(key) && says(value))),
  ...Object.fromEntries(Object.entries(own).filter(([, value]) => says(value)))
})

const ofAgent = (
  values: ChartValues,
  part: "controller" | "worker",
  own: ContainerValues,
  { podSecurityContext }: PodValues
): ContainerFacts => ({
  ...image(values, own.image, values.agent.image),
  ...environment(values, part),
  resources: own.resources,
  securityContext: applied(says(own.securityContext) ? own.securityContext : values.agent.securityContext, podSecurityContext)
})

/** Returns the extra mounts that one of the two containers must have, and those of the other one, which it must not have. */
const mounts = (
  { task }: ChartValues,
  part: "runner" | "worker"
): Pick<TaskContainerFacts, "extraVolumeMounts" | "extraVolumeMountsAbsent"> => {
  const [own, others] = [task[part].extraVolumeMounts, task[part === "runner" ? "worker" : "runner"].extraVolumeMounts]
  const isOwn = (other: typeof own[number]) => own.some(({ mountPath, name }) => name === other.name && mountPath === other.mountPath)
  return { extraVolumeMounts: own, extraVolumeMountsAbsent: others.filter((other) => !isOwn(other)) }
}

const pod = ({ global }: ChartValues, own: PodValues, other: PodValues): PodFacts => {
  const podAnnotations = { ...global.podAnnotations, ...own.podAnnotations }
  return {
    podAnnotations,
    podAnnotationsAbsent: without(Object.keys(other.podAnnotations), Object.keys(podAnnotations)),
    nodeSelector: own.nodeSelector,
    tolerations: own.tolerations,
    affinity: own.affinity,
    imagePullSecrets: global.imagePullSecrets.map(({ name }) => name),
    terminationGracePeriodSeconds: own.terminationGracePeriodSeconds,
    podSecurityContext: own.podSecurityContext
  }
}

/** Returns the name that a program may make up: it may be cut after 40 characters, and ends in neither a dash nor a dot. */
const madeName = ({ fullnameOverride, nameOverride }: ChartValues, release: string): MadeName => {
  const fits = `${release}-${nameOverride}`.length <= 40
  return {
    generated: true,
    startsWith: (fullnameOverride || release).slice(0, 40).replace(/[-.]+$/u, ""),
    ...(fullnameOverride === "" && nameOverride !== "" && fits && { contains: nameOverride })
  }
}

const data = (
  { agent, persistence: { emptyDir, enabled, persistentVolumeClaim: { claimName, subPath } } }: ChartValues,
  name: MadeName
): DataFacts => ({
  mountPath: agent.dataDir,
  sharedWithRunner: true,
  ...(enabled
    ? { kind: "persistentVolumeClaim", claimName: claimName || name, subPath: subPath.replace(/^\//u, ""), runnerMountsClaim: true }
    : { kind: "emptyDir", sizeLimit: emptyDir.sizeLimit })
})

const claim = (
  { persistence: { enabled, persistentVolumeClaim: { accessMode, claimName, storage, storageClassName } } }: ChartValues,
  name: MadeName
): Facts["persistentVolumeClaim"] =>
  enabled && claimName === ""
    ? {
      present: true,
      name,
      accessModes: [accessMode],
      storage,
      storageClassName: storageClassName === "" ? null : storageClassName === "-" ? "" : storageClassName
    }
    : { present: false }

const account = ({ serviceAccount: { annotations, create, labels, name: given } }: ChartValues, name: MadeName): Facts["serviceAccount"] =>
  create ? { create, name: given || name, annotations, labels } : { create: false }

export const factsOf = (file: Tree, release: { readonly name: string; readonly namespace: string }): Facts => {
  const values = chartValues(file)
  const { agent, controller, restrictMetadataService: restricted, serviceAccount, task } = values
  const name = madeName(values, release.name)
  return {
    namespace: release.namespace,
    controller: {
      ...ofAgent(values, "controller", controller, controller),
      ...pod(values, controller, task),
      name,
      serviceAccountName: serviceAccount.name || (serviceAccount.create ? name : "default"),
      automount: serviceAccount.automountToken,
      dataDirMount: agent.dataDir,
      ...(agent.url !== "" && { url: agent.url })
    },
    job: {
      ...pod(values, task, controller),
      backoffLimit: task.job.backoffLimit,
      ttlSecondsAfterFinished: task.job.ttlSecondsAfterFinished,
      worker: { ...ofAgent(values, "worker", task.worker, task), ...mounts(values, "worker") },
      runner: {
        ...image(values, task.runner.image),
        ...environment(values, "runner"),
        resources: task.runner.resources,
        securityContext: applied(task.runner.securityContext, task.podSecurityContext),
        ...mounts(values, "runner")
      },
      sidecars: task.sidecars,
      extraVolumes: task.extraVolumes,
      tokenTTL: serviceAccount.tokenTTL,
      runnerHasApiToken: false,
      data: data(values, name)
    },
    serviceAccount: account(values, name),
    tokenSecret: agent.token === "" ? agent.tokenExistingSecret : { value: agent.token },
    networkPolicy: { present: restricted, deniedCIDRs: [metadataService], appliesTo: { controller: restricted, task: restricted } },
    persistentVolumeClaim: claim(values, name)
  }
}
