// Environments of our containers: what the values give, and over it what the programs are told.
// Invariant: nothing of ours is ever in the runner's; a Secret's value is only ever referred to.
// Used by core/manifest/containers and core/manifest/deployment.
import type { V1EnvVar } from "@kubernetes/client-node"
import type { AgentTask } from "../../schema/agent-task.ts"
import { jobName } from "../job-name.ts"
import type { ResolvedConfig } from "../resolve.ts"
import type { ContainerConfig, Variables } from "../resolve/containers.ts"
import { clientCertificateVariable } from "./certificates.ts"
import { cacheDir, place } from "./places.ts"
import { planClaimOf } from "./volumes.ts"

export const fromValues = (variables: Variables): Array<V1EnvVar> => Object.entries(variables).map(([name, value]) => ({ name, value }))

export const fromField = (name: string, fieldPath: string): V1EnvVar => ({ name, valueFrom: { fieldRef: { fieldPath } } })

/** Variables of ConfigMaps and Secrets; any that is given by name wins over them. */
export const fromObjects = ({ envFrom }: ContainerConfig) => envFrom.length === 0 ? {} : { envFrom: [...envFrom] }

/** Ours win: the program would not know what to do otherwise. */
export const over = (values: Variables, ours: ReadonlyArray<V1EnvVar>): Array<V1EnvVar> => [
  ...fromValues(values).filter(({ name }) => !ours.some((_) => _.name === name)),
  ...ours
]

/** Values of variables that are in Secrets: the kubelet reads them, so that no account of ours may. */
const secretVariables = ({ spec: { variables = [] } }: AgentTask): Array<V1EnvVar> =>
  variables.flatMap(({ valueFrom }, index) =>
    valueFrom === undefined ? [] : [{ name: `AGENT_JOB_VARIABLE_${index}`, valueFrom: { secretKeyRef: valueFrom.secretKeyRef } }]
  )

/** Which mirrors there are, and the tokens of those that ask for one. */
const mirrorVariables = ({ task: { mirrors } }: ResolvedConfig): ReadonlyArray<V1EnvVar> =>
  mirrors === undefined ? [] : [
    { name: "AGENT_JOB_PROVIDER_MIRRORS", value: JSON.stringify(mirrors) },
    ...mirrors.network.flatMap(({ tokenSecret }, index) =>
      tokenSecret === undefined ? [] : [{ name: `AGENT_JOB_MIRROR_TOKEN_${index}`, valueFrom: { secretKeyRef: tokenSecret } }]
    )
  ]

const timeoutLimit = ({ task: { timeoutLimitSeconds } }: ResolvedConfig): ReadonlyArray<V1EnvVar> =>
  timeoutLimitSeconds === undefined ? [] : [{ name: "AGENT_JOB_TIMEOUT_LIMIT_SECONDS", value: String(timeoutLimitSeconds) }]

/** `epoch`: how often the workspace changed hands; 0 for plans. */
export const workerEnvironment = (task: AgentTask, config: ResolvedConfig, epoch: number): Array<V1EnvVar> =>
  over(config.task.worker.env, [
    fromField("AGENT_JOB_NAMESPACE", "metadata.namespace"),
    { name: "AGENT_JOB_TASK", value: task.metadata.name },
    { name: "AGENT_JOB_TASK_UID", value: task.metadata.uid }, // a later task of the same name is another one
    { name: "AGENT_JOB_JOB", value: jobName(config.policy.basename, task.metadata.name) },
    { name: "AGENT_JOB_CONFIG_HASH", value: config.configHash },
    fromField("AGENT_JOB_POD_NAME", "metadata.name"),
    fromField("AGENT_JOB_POD_UID", "metadata.uid"),
    fromField("AGENT_JOB_NODE", "spec.nodeName"),
    { name: "AGENT_JOB_EPOCH", value: String(epoch) },
    { name: "AGENT_JOB_DATA_DIR", value: config.dataDir },
    { name: "AGENT_JOB_PRIVATE_DIR", value: place.private },
    ...(task.spec.pool === undefined ? [] : [{ name: "AGENT_JOB_TOKEN_FILE", value: `${place.taskToken}/token` }]),
    ...(task.spec.source.configMap === undefined ? [] : [{ name: "AGENT_JOB_SOURCE_DIR", value: place.source }]),
    ...(planClaimOf(task) === undefined ? [] : [{ name: "AGENT_JOB_PLANS_DIR", value: place.plans }]),
    ...(config.cache === undefined ? [] : [{ name: "AGENT_JOB_CACHE_DIR", value: cacheDir(config.dataDir) }]),
    { name: "AGENT_JOB_GRACE_SECONDS", value: String(config.task.pod.terminationGracePeriodSeconds) },
    ...timeoutLimit(config),
    ...clientCertificateVariable(config),
    ...mirrorVariables(config),
    ...secretVariables(task)
  ])
