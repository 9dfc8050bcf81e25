// The result of a task that is over, with reasons that this version knows, because the pool may not know newer ones either.
// A task that ended without a result of its worker gets one from its phase, reason and message.
// Used by core/over, controller/pool-intake and controller/project (last words).
import { Schema } from "effect"
import type { AgentTaskStatus } from "../schema/agent-task.ts"
import { Reason } from "../schema/reason.ts"
import { longestMessage, type StageResult, type ToldResult } from "../schema/stage-result.ts"
import { shortened } from "./sentence.ts"

const isReason = Schema.is(Reason)
/** What takes the place of a reason that a newer version wrote. */
const plainReason: Readonly<Record<StageResult["outcome"], Reason>> = { succeeded: "Completed", failed: "ExitCode", cancelled: "Cancelled" }

export const plainly = (result: ToldResult): StageResult => ({
  ...result,
  reason: isReason(result.reason) ? result.reason : plainReason[result.outcome]
})

export const resultOf = (status: AgentTaskStatus, now: string): StageResult =>
  plainly(
    status.result ?? {
      outcome: status.phase === "Cancelled" ? "cancelled" : "failed",
      reason: status.reason ?? "Lost",
      message: shortened(status.message ?? "", longestMessage),
      finishedAt: status.finishedAt ?? now
    }
  )
