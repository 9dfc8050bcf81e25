// The AgentTask as the worker reads and writes it: decoded, so that everything past the border is typed.
// Always holds: a status is written against the resourceVersion that was read.
// Used by worker/claim, worker/stop, worker/report and worker/task-status.
import { Effect } from "effect"
import { Kubernetes } from "../kubernetes/client.ts"
import { agentTasks, decoding } from "../kubernetes/kinds.ts"
import { AgentTask, type AgentTaskStatus } from "../schema/agent-task.ts"

export const taskKind = decoding(agentTasks, AgentTask)

/** Writes the status; returns the task as it is then. */
export const writeTaskStatus = ({ metadata: { name, namespace, resourceVersion, uid }, spec }: AgentTask, status: AgentTaskStatus) =>
  Effect.flatMap(Kubernetes, (kubernetes) =>
    kubernetes.updateStatus(taskKind, {
      metadata: { name, namespace, uid, resourceVersion },
      spec, // the API server ignores it, but the object has to be valid
      status
    }))
