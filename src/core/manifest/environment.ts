// Environment variables of our containers: those that the values give, overridden by those that our programs need.
// Invariant: the runner gets none of our programs' variables, and the value of a Secret only ever appears as a reference.
// Used by core/manifest/containers, core/manifest/installation/deployment and core/manifest/installation/server.
import type { V1EnvVar } from "@kubernetes/client-node"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import type { ContainerConfig } from "../resolve/containers.ts"
import type { Texts } from "../resolve/plain.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { jobName } from "../task/job-name.ts"
import { cacheDir, place } from "../task/places.ts"
import { clientCertificateVariable } from "./certificates.ts"
import { planClaimOf, workerCacheOf } from "./volumes.ts"

export const fromValues = (variables: Texts): Array<V1EnvVar> => Object.entries(variables).map(([name, value]) => ({ name, value }))

export const fromField = (name: string, fieldPath: string): V1EnvVar => ({ name, valueFrom: { fieldRef: { fieldPath } } })

/** Returns the variables from ConfigMaps and Secrets. A variable that is given by name takes precedence over them. */
export const fromObjects = ({ envFrom }: Pick<ContainerConfig, "envFrom">) => envFrom.length === 0 ? {} : { envFrom: [...envFrom] }

/** Returns the variables of the values and ours. Ours take precedence, because the program would not know what to do otherwise. */
export const withOurs = (values: Texts, ours: ReadonlyArray<V1EnvVar>): Array<V1EnvVar> => [
  ...fromValues(values).filter(({ name }) => !ours.some((_) => _.name === name)),
  ...ours
]

/** Returns the task's variables whose values are in Secrets. The kubelet reads the Secrets, so that no account of ours has to. */
const secretVariables = ({ spec: { variables = [] } }: AgentTask): Array<V1EnvVar> =>
  variables.flatMap(({ valueFrom }, index) =>
    valueFrom === undefined ? [] : [{ name: `AGENT_JOB_VARIABLE_${index}`, valueFrom: { secretKeyRef: valueFrom.secretKeyRef } }]
  )

/** Returns the variables with the provider mirrors and with the tokens of those that require one. */
const mirrorVariables = ({ task: { mirrors } }: ResolvedConfig): ReadonlyArray<V1EnvVar> =>
  mirrors === undefined ? [] : [
    { name: "AGENT_JOB_PROVIDER_MIRRORS", value: JSON.stringify(mirrors) },
    ...mirrors.network.flatMap(({ tokenSecret }, index) =>
      tokenSecret === undefined ? [] : [{ name: `AGENT_JOB_MIRROR_TOKEN_${index}`, valueFrom: { secretKeyRef: tokenSecret } }]
    )
  ]

const timeoutLimit = ({ task: { timeoutLimitSeconds } }: ResolvedConfig): ReadonlyArray<V1EnvVar> =>
  timeoutLimitSeconds === undefined ? [] : [{ name: "AGENT_JOB_TIMEOUT_LIMIT_SECONDS", value: String(timeoutLimitSeconds) }]

/**
 * Returns how many seconds the kubelet waits before it sends SIGTERM to a worker that has to go; they are part of the grace period. The
 * worker is process 1 of its container, for which the kernel drops a signal that nobody listens for yet, and there is no second one.
 */
export const secondsBeforeSignal = ({ task: { pod } }: ResolvedConfig): number => pod.terminationGracePeriodSeconds < 2 ? 0 : 1

/** Returns the worker's variables. `epoch` is how often the workspace's Lease changed hands, and 0 for plans. */
export const workerEnvironment = (task: AgentTask, config: ResolvedConfig, epoch: number): Array<V1EnvVar> =>
  withOurs(config.task.worker.env, [
    fromField("AGENT_JOB_NAMESPACE", "metadata.namespace"),
    { name: "AGENT_JOB_TASK", value: task.metadata.name },
    { name: "AGENT_JOB_TASK_UID", value: task.metadata.uid }, // a later task of the same name has another UID
    { name: "AGENT_JOB_JOB", value: jobName(config.policy.basename, task.metadata.name) },
    { name: "AGENT_JOB_CONFIG_HASH", value: config.policy.configHash },
    fromField("AGENT_JOB_POD_NAME", "metadata.name"),
    fromField("AGENT_JOB_POD_UID", "metadata.uid"),
    fromField("AGENT_JOB_NODE", "spec.nodeName"),
    { name: "AGENT_JOB_EPOCH", value: String(epoch) },
    { name: "AGENT_JOB_DATA_DIR", value: config.dataDir },
    { name: "AGENT_JOB_PRIVATE_DIR", value: place.private },
    ...(task.spec.pool === undefined ? [] : [{ name: "AGENT_JOB_TOKEN_FILE", value: `${place.taskToken}/token` }]),
    ...(task.spec.source.configMap === undefined ? [] : [{ name: "AGENT_JOB_SOURCE_DIR", value: place.source }]),
    ...(planClaimOf(task) === undefined ? [] : [{ name: "AGENT_JOB_PLANS_DIR", value: place.plans }]),
    ...(workerCacheOf(task, config) === undefined ? [] : [{ name: "AGENT_JOB_CACHE_DIR", value: cacheDir(config.dataDir) }]),
    { name: "AGENT_JOB_GRACE_SECONDS", value: String(config.task.pod.terminationGracePeriodSeconds - secondsBeforeSignal(config)) },
    ...timeoutLimit(config),
    ...clientCertificateVariable(config),
    ...mirrorVariables(config),
    ...secretVariables(task)
  ])
