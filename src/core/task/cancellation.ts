// What is applied to a task to cancel it.
// Invariant: it is guarded by the UID, so that a later task of the same name is not cancelled.
// Used by controller/reconcile/execute, controller/pool and cli/cluster/tasks.
import type { AgentTask } from "../../schema/task/agent-task.ts"

export const cancellationOf = ({ metadata: { name, namespace, uid } }: Pick<AgentTask, "metadata">) => ({
  metadata: { name, namespace, uid },
  spec: { cancel: true }
})
