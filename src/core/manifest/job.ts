// The Job of an AgentTask: one Pod that may run the stage, and rules that keep Kubernetes from making a second one while the first may run.
// Invariant: the same task, configuration and epoch give the same Job, under a name derived from the task's.
// Created by controller/reconcile/execute; printed by cli/commands/render.
import type { V1Job, V1PodFailurePolicyRule } from "@kubernetes/client-node"
import { configHashAnnotation } from "../../schema/names.ts"
import { type AgentTask, defaultTimeoutSeconds, mutates } from "../../schema/task/agent-task.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { jobName } from "../task/job-name.ts"
import { claimLostExitCode, statePatienceSeconds } from "../task/places.ts"
import { taskLabels } from "./labels.ts"
import { ownerReference } from "./owner-reference.ts"
import { pod } from "./pod.ts"

/**
 * Returns for how many seconds the worker may go on saving the state after its engine has ended, or a person may save what a backend did not
 * take. A plan writes no state.
 */
const stateSeconds = ({ spec: { stage } }: AgentTask): number => mutates(stage) ? statePatienceSeconds : 0

/**
 * Returns after how many seconds Kubernetes ends the Job. The worker interrupts the engine at the task's timeout and then saves the state,
 * so this deadline is for a worker that no longer can. The limit of the values includes the saving; only start and end come on top.
 */
const activeDeadlineSeconds = (task: AgentTask, { task: { secondsBesideStage, timeoutLimitSeconds = Infinity } }: ResolvedConfig): number =>
  Math.min((task.spec.timeoutSeconds ?? defaultTimeoutSeconds) + stateSeconds(task), timeoutLimitSeconds) + secondsBesideStage

/**
 * If a Job has two Pods, the one that lost the claim ends at once, and must not end the Job of the other. This rule comes first, so that no
 * rule of the values precedes it.
 */
const neverTheWinner: V1PodFailurePolicyRule = {
  action: "Ignore",
  onExitCodes: { containerName: "worker", operator: "In", values: [claimLostExitCode] }
}

/** Returns the Job of a task. `epoch` is how often the workspace's Lease changed hands, and 0 for plans. */
export const job = (task: AgentTask, config: ResolvedConfig, epoch: number) =>
  ({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name: jobName(config.policy.basename, task.metadata.name),
      namespace: task.metadata.namespace,
      labels: taskLabels(task, config, { ...config.objectLabels, ...config.task.jobLabels }),
      annotations: { ...config.objectAnnotations, ...config.task.jobAnnotations, [configHashAnnotation]: config.policy.configHash },
      ownerReferences: [{ ...ownerReference(task), controller: true, blockOwnerDeletion: true }]
    },
    spec: {
      activeDeadlineSeconds: activeDeadlineSeconds(task, config),
      backoffLimit: config.task.backoffLimit, // this repeats launches only: a second Pod does not get the claim
      podFailurePolicy: { rules: [neverTheWinner, ...config.task.failureRules] },
      podReplacementPolicy: "Failed", // a second Pod starts only when the first has certainly ended
      ttlSecondsAfterFinished: config.task.ttlSecondsAfterFinished,
      template: pod(task, config, epoch)
    }
  }) satisfies V1Job
