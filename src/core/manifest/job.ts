// The Job of an AgentTask: one Pod that may run the stage, and rules under which Kubernetes never makes that two.
// Invariant: the same task, configuration and epoch give the same Job, under a name derived from the task's.
// Created by controller/execute; printed by cli/commands/render.
import type { V1Job, V1PodFailurePolicyRule } from "@kubernetes/client-node"
import { type AgentTask, defaultTimeoutSeconds, mutates } from "../../schema/agent-task.ts"
import { configHashAnnotation } from "../../schema/names.ts"
import { jobName } from "../job-name.ts"
import type { ResolvedConfig } from "../resolve.ts"
import { taskLabels } from "./labels.ts"
import { ownerReference } from "./owner-reference.ts"
import { claimLostExitCode, statePatienceSeconds } from "./places.ts"
import { pod } from "./pod.ts"

/** The state of other stages is not the worker's to save: a plan writes none, and without a pool the engine saves it itself. */
const stateSeconds = ({ spec: { pool, stage } }: AgentTask): number => pool !== undefined && mutates(stage) ? statePatienceSeconds : 0

/**
 * The worker interrupts the engine at the task's timeout, and then saves its state; this is for a worker that cannot any more. The values'
 * own limit is of all together.
 */
const activeDeadlineSeconds = (task: AgentTask, { task: { secondsBesideStage, timeoutLimitSeconds = Infinity } }: ResolvedConfig): number =>
  Math.min((task.spec.timeoutSeconds ?? defaultTimeoutSeconds) + stateSeconds(task), timeoutLimitSeconds) + secondsBesideStage

/**
 * Of two Pods the one that lost the claim ends at once, and must not end the Job of the other. First, so that no rule of the values comes
 * before it.
 */
const neverTheWinner: V1PodFailurePolicyRule = {
  action: "Ignore",
  onExitCodes: { containerName: "worker", operator: "In", values: [claimLostExitCode] }
}

/** `epoch`: how often the workspace changed hands; 0 for plans. */
export const job = (task: AgentTask, config: ResolvedConfig, epoch: number): V1Job => ({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: {
    name: jobName(config.policy.basename, task.metadata.name),
    namespace: task.metadata.namespace,
    labels: taskLabels(task, config, { ...config.objectLabels, ...config.task.jobLabels }),
    annotations: { ...config.objectAnnotations, ...config.task.jobAnnotations, [configHashAnnotation]: config.configHash },
    ownerReferences: [{ ...ownerReference(task), controller: true, blockOwnerDeletion: true }]
  },
  spec: {
    activeDeadlineSeconds: activeDeadlineSeconds(task, config),
    backoffLimit: config.task.backoffLimit, // launches only: who comes second does not get the claim
    podFailurePolicy: { rules: [neverTheWinner, ...config.task.failureRules] },
    podReplacementPolicy: "Failed", // a second Pod starts only when the first is certainly over
    ttlSecondsAfterFinished: config.task.ttlSecondsAfterFinished,
    template: pod(task, config, epoch)
  }
})
