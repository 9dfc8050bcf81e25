// What the pool is told of an assignment by who takes it, and not by its task: that it is refused, waits, or was over before.
// Used by controller/pool/accept and cancel.
import { Effect, Option } from "effect"
import { resultOf } from "../../core/task/task-result.ts"
import { currentInstant } from "../../kubernetes/clock.ts"
import { type AgentTask, mutates } from "../../schema/task/agent-task.ts"
import type { FailureReason } from "../../schema/task/reason.ts"
import { longestMessage } from "../../schema/task/stage-result.ts"
import { Pool } from "./pool.ts"

/** Ends the stage of an assignment that can be no task, for the reason that is given. */
export const refuse = Effect.fnUntraced(function*(id: string, reason: FailureReason, message: string) {
  const pool = yield* Pool
  yield* pool.report(id, Option.none(), { outcome: "failed", reason, message, finishedAt: yield* currentInstant })
})

/**
 * Tells the pool why no agent has the run, for the people who wait for it. Best effort: the assignment is offered again, and the pool is
 * told again then.
 */
export const tellWhy = Effect.fnUntraced(function*(id: string, message: string) {
  const pool = yield* Pool
  yield* Effect.catch(
    pool.wait(id, Option.none(), "Refused", message.slice(0, longestMessage)),
    (error) => Effect.logWarning(error.message)
  )
})

/**
 * Reports the result of a task that is over once more. A pool that still asks for its stage has forgotten the result, for example after a
 * restore from a backup, and `plan` does not report a result twice. It may have forgotten the lock too, by which it would know that a
 * stage which ended without a word of its worker may have made something.
 */
export const remind = Effect.fnUntraced(function*(
  id: string,
  { metadata, spec, status }: Pick<AgentTask, "metadata" | "status"> & { readonly spec: { readonly stage: string } }
) {
  const pool = yield* Pool
  const isInDoubt = mutates(spec.stage) && status.claim !== undefined && status.result === undefined
  yield* pool.report(id, Option.some(metadata.uid), {
    ...resultOf(status, yield* currentInstant),
    ...(isInDoubt && { statePushed: false })
  })
})
