// The AgentTask as the worker reads and writes it: decoded, so that everything past the border is typed.
// Invariant: a status is written against the resourceVersion that was read.
// Used by worker/task/claim, worker/task/stop, worker/task/report and worker/task/task-status.
import { Effect } from "effect"
import { endInPlainReasons } from "../../core/task/task-result.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { agentTasks, decoding } from "../../kubernetes/kinds.ts"
import { writeStatus } from "../../kubernetes/write-status.ts"
import { AgentTask, type AgentTaskStatus } from "../../schema/task/agent-task.ts"

export const taskKind = decoding(agentTasks, AgentTask)

/** Writes the status; returns the task as it is then. */
export const writeTaskStatus = (task: AgentTask, status: AgentTaskStatus) =>
  Effect.flatMap(Kubernetes, (kubernetes) => writeStatus(kubernetes, taskKind, task, status, endInPlainReasons(task.status, status)))
