// The AgentTask as the worker reads and writes it: decoded, so that everything past the border is typed.
// Used by worker/claim, worker/stop and worker/report.
import { agentTasks, decoding } from "../kubernetes/kinds.ts"
import { AgentTask } from "../schema/agent-task.ts"

export const taskKind = decoding(agentTasks, AgentTask)
