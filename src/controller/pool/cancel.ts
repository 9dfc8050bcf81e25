// Carries out a cancellation that the pool asks for.
// Used by controller/pool/pool-intake.
import { Effect, Option, Result, Schema } from "effect"
import { cancellationOf } from "../../core/task/cancellation.ts"
import { belongsToAssignment, taskNameOfId } from "../../core/task/intake.ts"
import { isOver } from "../../core/task/status.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { currentInstant } from "../../kubernetes/clock.ts"
import { find } from "../../kubernetes/find.ts"
import { agentTasks, decoding } from "../../kubernetes/kinds.ts"
import { AgentTask } from "../../schema/task/agent-task.ts"
import { remind } from "./assignment-reports.ts"
import { Pool } from "./pool.ts"

/** What `remind` needs of a task, of which only a newer version may understand the rest. */
const tasks = decoding(agentTasks, Schema.Struct({ ...AgentTask.fields, spec: Schema.Struct({ stage: Schema.String }) }))

/**
 * Cancels the task of a stage, in the namespace of tasks; if it was never made, reports the stage as cancelled, because no worker will. A
 * stranger's task of its name is not cancelled; one that this version does not understand is, since its worker may be at work.
 */
export const cancel = Effect.fn("Assignment.cancel")(function*(namespace: string, id: string) {
  const kubernetes = yield* Kubernetes
  const pool = yield* Pool
  const name = taskNameOfId(id)
  if (Option.isNone(name)) return
  const found = Option.filter(yield* find(agentTasks, { namespace, name: name.value }), ({ spec }) => belongsToAssignment(spec, id))
  if (Option.isSome(found)) {
    const task = Result.getSuccess(tasks.decode(found.value))
    return yield* Option.isSome(task) && isOver(task.value.status.phase)
      ? remind(id, task.value)
      : kubernetes.apply(agentTasks, cancellationOf(found.value))
  }
  yield* pool.report(id, Option.none(), {
    outcome: "cancelled",
    reason: "Cancelled",
    message: "Cancelled before it started; nothing was run.",
    finishedAt: yield* currentInstant
  })
})
