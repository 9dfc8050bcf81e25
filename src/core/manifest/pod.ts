// The Pod of a task: its containers and volumes, where it may be scheduled, and what must not disturb it.
// Invariant: it passes Pod Security "restricted" unless the values themselves ask for more.
// Used by core/manifest/job.
import type { V1PodTemplateSpec, V1Toleration } from "@kubernetes/client-node"
import { type AgentTask, mutates } from "../../schema/task/agent-task.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { accountOf } from "../task/identity.ts"
import { install, runner, sidecars, worker } from "./containers.ts"
import { selectorLabels, taskLabels } from "./labels.ts"
import { podSettings } from "./pod-settings.ts"
import { volumes } from "./volumes.ts"

/** Annotations of every task's Pod: kubectl shows its worker by default, and autoscalers do not move it, because that kills the stage. */
const undisturbed = {
  "kubectl.kubernetes.io/default-container": "worker",
  "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
  "karpenter.sh/do-not-disrupt": "true"
}

/** Tolerations that keep a healthy apply running while its node does not answer: for ever, because nothing may take its place meanwhile. */
const staysOnSilentNodes: ReadonlyArray<V1Toleration> = ["not-ready", "unreachable"].map((taint) => ({
  key: `node.kubernetes.io/${taint}`,
  operator: "Exists",
  effect: "NoExecute"
}))

const tolerations = ({ spec: { stage } }: AgentTask, config: ResolvedConfig): Array<V1Toleration> => [
  ...(mutates(stage) ? staysOnSilentNodes : []), // first, because Kubernetes takes the first one that matches a taint
  ...config.task.pod.tolerations
]

export const pod = (task: AgentTask, config: ResolvedConfig, epoch: number): V1PodTemplateSpec => {
  const { annotations, labels, nodeSelector } = config.task.pod
  const settings = {
    ...config.task.pod,
    nodeSelector: { ...task.spec.jobTemplate?.nodeSelector, ...nodeSelector },
    tolerations: tolerations(task, config)
  }
  return {
    metadata: {
      labels: taskLabels(task, config, labels),
      annotations: { ...task.spec.jobTemplate?.annotations, ...undisturbed, ...annotations }
    },
    spec: {
      ...(config.imagePullSecrets.length > 0 && { imagePullSecrets: [...config.imagePullSecrets] }),
      serviceAccountName: accountOf(task.spec, config),
      automountServiceAccountToken: false, // the worker mounts its token itself
      enableServiceLinks: false,
      ...(config.task.userNamespaces && { hostUsers: false }),
      restartPolicy: "Never",
      ...podSettings(settings, selectorLabels(config, "task")),
      initContainers: [install(config), ...sidecars(config), runner(task, config)],
      containers: [worker(task, config, epoch)],
      volumes: volumes(task, config)
    }
  }
}
