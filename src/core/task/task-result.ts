// The result of a task that is over, with reasons that this version knows, because the pool may not know newer ones either.
// A task that ended without a result of its worker gets one from its phase, reason and message.
// Used by core/reconcile/over, controller/pool/assignment-reports, core/task/last-words, server/run/assignments and what writes a status.
import { Equal, Option } from "effect"
import type { AgentTaskStatus } from "../../schema/task/agent-task.ts"
import { isReason, type Reason } from "../../schema/task/reason.ts"
import { longestMessage, StageResult, type ToldResult } from "../../schema/task/stage-result.ts"
import { shortened } from "../text/sentence.ts"
import { isOver, phaseOf } from "./status.ts"

/** What takes the place of a reason that a newer version wrote. */
const plainReason: Readonly<Record<StageResult["outcome"], Reason>> = { succeeded: "Completed", failed: "ExitCode", cancelled: "Cancelled" }

export const plainly = (result: ToldResult): StageResult => ({
  ...result,
  reason: isReason(result.reason) ? result.reason : plainReason[result.outcome]
})

/**
 * Returns, of a write that ends the task or adds its result, what gives the status plain reasons in the fields whose reasons an older CRD
 * does not have; it gives none if these fields have no reason. The conditions keep what was meant.
 */
export const endInPlainReasons = (before: AgentTaskStatus, status: AgentTaskStatus) => {
  const { phase, result } = status
  const isTold = isOver(before.phase) && (before.result !== undefined || result === undefined)
  if (!isOver(phase) || isTold) return Option.none()
  const outcome = StageResult.fields.outcome.literals.find((outcome) => phaseOf[outcome] === phase) ?? "failed"
  return Option.some((fields: ReadonlyArray<string>): Option.Option<AgentTaskStatus> => {
    const plain = {
      ...(fields.includes("status.reason") && { reason: plainReason[outcome] }),
      ...(result !== undefined && fields.includes("status.result.reason") && {
        result: { ...result, reason: plainReason[result.outcome] }
      })
    }
    return Object.keys(plain).length === 0 ? Option.none() : Option.some({ ...status, ...plain })
  })
}

/** Reports whether this is what an older version keeps of the result: a part of it, perhaps with a plain reason. */
export const isStoredOf = (result: StageResult, stored: ToldResult): boolean => {
  const changes = stored.changes && { ...result.changes, ...stored.changes }
  return (stored.reason === result.reason || stored.reason === plainReason[result.outcome]) &&
    Equal.equals({ ...result, ...stored, ...(changes && { changes }), reason: result.reason }, result)
}

export const resultOf = (status: AgentTaskStatus, now: string): StageResult =>
  plainly(
    status.result ?? {
      outcome: status.phase === "Cancelled" ? "cancelled" : "failed",
      reason: status.reason ?? "Lost",
      message: shortened(status.message ?? "", longestMessage),
      finishedAt: status.finishedAt ?? now
    }
  )
