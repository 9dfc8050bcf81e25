// The containers of a task's Pod: install (puts the exec loop on a shared volume), runner (the user's image) and worker (ours, in charge).
// The runner is a native sidecar, so the kubelet stops it after the worker has ended, and the runner's own end does not end the Pod.
// Used by core/manifest/pod.
import type { V1Container, V1ResourceRequirements } from "@kubernetes/client-node"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import type { ContainerConfig } from "../resolve/containers.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { execDir, workerHealthPort } from "../task/places.ts"
import { fromObjects, fromValues, secondsBeforeSignal, workerEnvironment } from "./environment.ts"
import { installMounts, runnerMounts, workerMounts } from "./volumes.ts"

const imageOf = ({ image, imagePullPolicy }: ContainerConfig) => ({ image, imagePullPolicy })

export const install = (config: ResolvedConfig): V1Container => ({
  name: "install",
  ...imageOf(config.task.worker),
  args: ["install", config.dataDir],
  terminationMessagePolicy: "FallbackToLogsOnError", // tells of an image of another architecture; no secret is in what it prints
  resources: config.task.worker.resources, // the same as the worker's, so that this container does not raise what the Pod requests
  volumeMounts: installMounts(config),
  securityContext: config.task.worker.securityContext
})

const runnerResources = ({ spec }: AgentTask, { task: { runner: { resources } } }: ResolvedConfig): V1ResourceRequirements => {
  const { limits, requests } = spec.jobTemplate?.runner?.resources ?? {}
  return {
    ...resources,
    ...(limits !== undefined && { limits: { ...resources.limits, ...limits } }),
    ...(requests !== undefined && { requests: { ...resources.requests, ...requests } })
  }
}

export const runner = (task: AgentTask, config: ResolvedConfig): V1Container => ({
  name: "runner",
  ...imageOf(config.task.runner),
  ...(task.spec.jobTemplate?.runner?.image !== undefined && { image: task.spec.jobTemplate.runner.image }),
  command: ["/bin/sh", `${execDir(config.dataDir)}/exec-loop.sh`, execDir(config.dataDir)],
  env: fromValues(config.task.runner.env),
  ...fromObjects(config.task.runner),
  resources: runnerResources(task, config),
  restartPolicy: "Always",
  volumeMounts: runnerMounts(task, config),
  securityContext: config.task.runner.securityContext
})

/** Gives Node the time to listen for SIGTERM. The API server takes no wait that is longer than the grace period. */
const untilItListens = (config: ResolvedConfig): Pick<V1Container, "lifecycle"> => {
  const seconds = secondsBeforeSignal(config)
  return seconds === 0 ? {} : { lifecycle: { preStop: { sleep: { seconds } } } }
}

export const worker = (task: AgentTask, config: ResolvedConfig, epoch: number): V1Container => ({
  name: "worker",
  ...imageOf(config.task.worker),
  args: ["worker"],
  ports: [{ name: "health", containerPort: workerHealthPort }],
  env: workerEnvironment(task, config, epoch),
  ...fromObjects(config.task.worker),
  resources: config.task.worker.resources,
  volumeMounts: workerMounts(task, config),
  // Ready means "holds the claim": if a Job has two Pods, Kubernetes removes the one that is not ready.
  readinessProbe: { httpGet: { path: "/readyz", port: workerHealthPort }, periodSeconds: 5 },
  ...untilItListens(config),
  securityContext: config.task.worker.securityContext
})

/** Returns the sidecars of the values, always as native sidecars, so that one that never ends does not keep the Job from ending. */
export const sidecars = (config: ResolvedConfig): ReadonlyArray<V1Container> =>
  config.task.sidecars.map((container) => ({ ...container, restartPolicy: "Always" }))
