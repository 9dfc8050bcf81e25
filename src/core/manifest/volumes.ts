// The volumes of a task's Pod, and which container mounts which: what keeps worker and runner apart.
// Invariant: tokens, source and private files are mounted in the worker alone.
// Used by core/manifest/pod and core/manifest/containers.
import type { V1Volume, V1VolumeMount } from "@kubernetes/client-node"
import type { AgentTask } from "../../schema/agent-task.ts"
import type { ResolvedConfig } from "../resolve.ts"
import type { CacheConfig } from "../resolve/storage.ts"
import { apiTokenMount, apiTokenVolume } from "./api-token.ts"
import { certificateMounts, certificateVolumes, trustMounts } from "./certificates.ts"
import { cacheDir, place } from "./places.ts"

/** One key of a Secret, as the file `token`, readable by the owner; the kubelet adds the Pod's group. */
export const secretFile = (name: string, secretName: string, key: string): V1Volume => ({
  name,
  secret: { secretName, items: [{ key, path: "token" }], defaultMode: 0o400 }
})

const stateVolumes = ({ spec: { jobTemplate } }: AgentTask): ReadonlyArray<V1Volume> =>
  (jobTemplate?.volumeClaims ?? []).map(({ claimName }, index) => ({ name: `claim-${index}`, persistentVolumeClaim: { claimName } }))

const stateMounts = ({ spec: { jobTemplate } }: AgentTask): ReadonlyArray<V1VolumeMount> =>
  (jobTemplate?.volumeClaims ?? []).map(({ mountPath }, index) => ({ name: `claim-${index}`, mountPath }))

export const volumes = (task: AgentTask, config: ResolvedConfig): Array<V1Volume> => {
  const { pool, source } = task.spec
  return [
    { name: "data", emptyDir: { sizeLimit: config.dataSizeLimit } },
    { name: "private", emptyDir: { sizeLimit: config.dataSizeLimit } },
    { name: "tmp", emptyDir: { sizeLimit: "1Gi" } },
    apiTokenVolume(config.tokenTtlSeconds),
    ...(pool === undefined ? [] : [secretFile("task-token", pool.tokenSecret.name, "token")]),
    ...(source.configMap === undefined ? [] : [{ name: "source", configMap: { name: source.configMap.name } }]),
    ...(config.cache === undefined ? [] : [{ name: "cache", ...config.cache.volume }]),
    ...certificateVolumes(config),
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

/** Ours, but for those whose place a mount of the values takes. */
const beside = (ours: ReadonlyArray<V1VolumeMount>, theirs: ReadonlyArray<V1VolumeMount>): Array<V1VolumeMount> => [
  ...ours.filter(({ mountPath }) => !theirs.some((_) => _.mountPath === mountPath)),
  ...theirs
]

export const installMounts = (config: ResolvedConfig): Array<V1VolumeMount> => [dataMount(config)]

export const workerMounts = ({ spec: { pool, source } }: AgentTask, config: ResolvedConfig): Array<V1VolumeMount> =>
  beside([
    dataMount(config),
    { name: "private", mountPath: place.private },
    { name: "tmp", mountPath: place.tmp },
    apiTokenMount,
    ...(pool === undefined ? [] : [{ name: "task-token", mountPath: place.taskToken, readOnly: true }]),
    ...(source.configMap === undefined ? [] : [{ name: "source", mountPath: place.source, readOnly: true }]),
    ...(config.cache === undefined ? [] : [cacheMount(config, config.cache)]),
    ...certificateMounts(config)
  ], config.task.worker.volumeMounts)

export const runnerMounts = (task: AgentTask, config: ResolvedConfig): Array<V1VolumeMount> =>
  beside([
    dataMount(config),
    ...(config.cache === undefined ? [] : [{ ...cacheMount(config, config.cache), readOnly: true }]),
    ...trustMounts(config),
    ...stateMounts(task)
  ], config.task.runner.volumeMounts)
