// The values of the chart: their types, their defaults, and how a file is laid over the defaults, as Helm does it.
// Invariant: no code of the product is used, so that the model stays independent of it.
// Used by the other files here.
import type {
  V1Affinity,
  V1Container,
  V1PodSecurityContext,
  V1ResourceRequirements,
  V1SecurityContext,
  V1Toleration,
  V1Volume,
  V1VolumeMount
} from "@kubernetes/client-node"
import { chartKeys } from "../schema/value-keys.ts"
import type { Texts } from "./facts.ts"

export type Tree = { readonly [key: string]: unknown }
export type Variables = Readonly<Record<string, string | number | boolean>>

export interface Image {
  readonly repository: string
  readonly tag: string
  readonly pullPolicy: string
}

export interface ContainerValues {
  readonly extraEnv: Variables
  readonly image: Image
  readonly resources: V1ResourceRequirements
  readonly securityContext: V1SecurityContext
}

export interface PodValues {
  readonly affinity: V1Affinity
  readonly nodeSelector: Texts
  readonly podAnnotations: Texts
  readonly podSecurityContext: V1PodSecurityContext
  readonly terminationGracePeriodSeconds: number
  readonly tolerations: ReadonlyArray<V1Toleration>
}

type TaskContainerValues = ContainerValues & { readonly extraVolumeMounts: ReadonlyArray<V1VolumeMount> }

export interface ChartValues {
  readonly agent: Omit<ContainerValues, "resources"> & {
    readonly dataDir: string
    readonly token: string
    readonly tokenExistingSecret: { readonly name: string; readonly key: string }
    readonly url: string
  }
  readonly controller: ContainerValues & PodValues
  readonly fullnameOverride: string
  readonly global: {
    readonly extraEnv: Variables
    readonly imagePullSecrets: ReadonlyArray<{ readonly name: string }>
    readonly imageRegistry: string
    readonly podAnnotations: Texts
  }
  readonly nameOverride: string
  readonly persistence: {
    readonly emptyDir: { readonly sizeLimit: string }
    readonly enabled: boolean
    readonly persistentVolumeClaim: {
      readonly accessMode: string
      readonly claimName: string
      readonly storage: string
      readonly storageClassName: string
      readonly subPath: string
    }
  }
  readonly restrictMetadataService: boolean
  readonly serviceAccount: {
    readonly annotations: Texts
    readonly automountToken: boolean
    readonly create: boolean
    readonly labels: Texts
    readonly name: string
    readonly tokenTTL: number
  }
  readonly task: PodValues & {
    readonly extraVolumes: ReadonlyArray<V1Volume>
    readonly job: { readonly backoffLimit: number; readonly ttlSecondsAfterFinished: number }
    readonly runner: TaskContainerValues
    readonly sidecars: ReadonlyArray<V1Container>
    readonly worker: TaskContainerValues
  }
}

export const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value)

/** Lays `above` over `below`: maps are merged key by key, other values replaced, and null removes a key. */
const laidOver = (below: Tree, above: Tree): Tree => {
  const result: Record<string, unknown> = { ...below }
  for (const [key, value] of Object.entries(above)) {
    const under = below[key]
    if (value === null) delete result[key]
    else result[key] = isTree(value) ? laidOver(isTree(under) ? under : {}, value) : value
  }
  return result
}

const put = (file: Tree, [key = "", ...rest]: ReadonlyArray<string>, value: unknown): Tree => {
  const inner = file[key]
  return { ...file, [key]: rest.length === 0 ? value : put(isTree(inner) ? inner : {}, rest, value) }
}

/** Returns the values file with the given values, whose keys are paths with dots. */
export const fileOf = (given: Tree): Tree => Object.entries(given).reduce((file, [path, value]) => put(file, path.split("."), value), {})

const defaults = fileOf(Object.fromEntries(chartKeys))

/** Returns the file laid over the defaults; the file has to be valid, because its types are not checked. */
export const chartValues = (file: Tree): ChartValues => laidOver(defaults, file) as unknown as ChartValues
