// The volumes of a task's Pod, and which container mounts which: what keeps worker and runner apart.
// Invariant: of our containers only the worker mounts tokens, source, kept plans and private files; a sidecar mounts what the values say.
// Used by the builders of Pods and containers beside it.
import type { V1Volume, V1VolumeMount } from "@kubernetes/client-node"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import type { CacheConfig } from "../resolve/storage.ts"
import { cacheDir, place } from "../task/places.ts"
import { apiTokenMount, apiTokenVolume } from "./api-token.ts"
import { certificateMounts, certificateVolumes, trustMounts } from "./certificates.ts"
import { ownClaims } from "./own-objects.ts"
import { secretFile } from "./secret-file.ts"

const stateVolumes = ({ spec: { jobTemplate } }: AgentTask): ReadonlyArray<V1Volume> =>
  (jobTemplate?.volumeClaims ?? []).map(({ claimName }, index) => ({ name: `claim-${index}`, persistentVolumeClaim: { claimName } }))

/**
 * Returns the mounts of the volume claims that the task names. An admission policy refuses one of the installation. Without the policy,
 * such a one is at least mounted read-only.
 */
const stateMounts = ({ spec: { jobTemplate } }: AgentTask, config: ResolvedConfig): ReadonlyArray<V1VolumeMount> => {
  const { volumeClaims = [] } = jobTemplate ?? {}
  const own = volumeClaims.length === 0 ? [] : ownClaims(config)
  return volumeClaims.map(({ claimName, mountPath }, index) => ({
    name: `claim-${index}`,
    mountPath,
    ...(own.includes(claimName) && { readOnly: true })
  }))
}

/** Returns the name of the volume claim on which the task keeps its plan, or from which it takes one. */
export const planClaimOf = ({ spec: { savePlan, source } }: AgentTask): string | undefined => (savePlan ?? source.savedPlan)?.claimName

/**
 * Returns the volume that tasks share where the worker mounts it: not beside a claim of plans, where another task may have left a link.
 * Such a worker has no use for it, since only states of a pool are kept there.
 */
export const workerCacheOf = (task: AgentTask, { cache }: ResolvedConfig): CacheConfig | undefined =>
  planClaimOf(task) === undefined ? cache : undefined

export const volumes = (task: AgentTask, config: ResolvedConfig): Array<V1Volume> => {
  const { pool, source } = task.spec
  const planClaim = planClaimOf(task)
  return [
    { name: "data", emptyDir: { sizeLimit: config.dataSizeLimit } },
    { name: "private", emptyDir: { sizeLimit: config.dataSizeLimit } },
    { name: "tmp", emptyDir: { sizeLimit: "1Gi" } },
    apiTokenVolume(config.tokenTtlSeconds),
    ...(pool === undefined ? [] : [secretFile(config.task.pod, "task-token", pool.tokenSecret.name, "token")]),
    ...(planClaim === undefined ? [] : [{ name: "plans", persistentVolumeClaim: { claimName: planClaim } }]),
    ...(source.configMap === undefined ? [] : [{ name: "source", configMap: { name: source.configMap.name } }]),
    ...(config.cache === undefined ? [] : [{ name: "cache", ...config.cache.volume }]),
    ...certificateVolumes(config, config.task.pod),
    ...stateVolumes(task),
    ...config.task.volumes
  ]
}

const dataMount = ({ dataDir }: ResolvedConfig): V1VolumeMount => ({ name: "data", mountPath: dataDir })

const cacheMount = ({ dataDir }: ResolvedConfig, { subPath }: CacheConfig): V1VolumeMount => ({
  name: "cache",
  mountPath: cacheDir(dataDir),
  ...(subPath !== "" && { subPath })
})

/** Returns our mounts and those of the values, without those of ours at whose path the values mount something. */
const beside = (ours: ReadonlyArray<V1VolumeMount>, theirs: ReadonlyArray<V1VolumeMount>): Array<V1VolumeMount> => [
  ...ours.filter(({ mountPath }) => !theirs.some((_) => _.mountPath === mountPath)),
  ...theirs
]

export const installMounts = (config: ResolvedConfig): Array<V1VolumeMount> => [dataMount(config)]

export const workerMounts = (task: AgentTask, config: ResolvedConfig): Array<V1VolumeMount> => {
  const { pool, source } = task.spec
  const cache = workerCacheOf(task, config)
  return beside([
    dataMount(config),
    { name: "private", mountPath: place.private },
    { name: "tmp", mountPath: place.tmp },
    apiTokenMount,
    ...(pool === undefined ? [] : [{ name: "task-token", mountPath: place.taskToken, readOnly: true }]),
    ...(planClaimOf(task) === undefined ? [] : [{ name: "plans", mountPath: place.plans }]),
    ...(source.configMap === undefined ? [] : [{ name: "source", mountPath: place.source, readOnly: true }]),
    ...(cache === undefined ? [] : [cacheMount(config, cache)]),
    ...certificateMounts(config)
  ], config.task.worker.volumeMounts)
}

/**
 * Returns the runner's mounts. The API server refuses the Job where the values mount something else in the place of a task's volume
 * claim, which may have a state.
 */
export const runnerMounts = (task: AgentTask, config: ResolvedConfig): Array<V1VolumeMount> => [
  ...beside([
    dataMount(config),
    ...(config.cache === undefined ? [] : [{ ...cacheMount(config, config.cache), readOnly: true }]),
    ...trustMounts(config)
  ], config.task.runner.volumeMounts),
  ...stateMounts(task, config)
]
