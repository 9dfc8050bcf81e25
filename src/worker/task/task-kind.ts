// The AgentTask as the worker reads and writes it: decoded, so that all past the border is typed, but for the spec of a claimed task.
// Invariant: a status is written against the resourceVersion that was read.
// Used by worker/task/claim, worker/task/report and worker/task/task-status.
import { Effect, Schema } from "effect"
import { endInPlainReasons } from "../../core/task/task-result.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { agentTasks, decoding, type Kind } from "../../kubernetes/kinds.ts"
import { type Stored, writeStatus } from "../../kubernetes/write-status.ts"
import { AgentTask, type AgentTaskStatus } from "../../schema/task/agent-task.ts"

export const taskKind = decoding(agentTasks, AgentTask)

/** The task once it is claimed, when its status alone is needed: an older CRD may have dropped a part of its spec since. */
export const claimedTaskKind = decoding(agentTasks, Schema.Struct({ ...AgentTask.fields, spec: Schema.Unknown }))

/** Writes the status; returns the task as it is then. */
export const writeTaskStatus = <A>(kind: Kind<A>, task: Stored, status: AgentTaskStatus) =>
  Effect.flatMap(Kubernetes, (kubernetes) => writeStatus(kubernetes, kind, task, status, endInPlainReasons(task.status, status)))
