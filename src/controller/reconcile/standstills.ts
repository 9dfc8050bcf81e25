// What to say of a task of which no pass comes to its end, until a person mends the cause: an answer of the API server, or the pool in the values.
// Invariant: the same is said again only after a pass has come to its end, or when the event before is about to be forgotten.
// Used by controller/reconcile/reconcile.
import { Option } from "effect"
import { Notice } from "../../core/reconcile/action.ts"
import { isLongOver } from "../../core/reconcile/situation.ts"
import { poolFinalizer } from "../../core/task/intake.ts"
import { sentence } from "../../core/text/sentence.ts"
import type { Forbidden, Invalid, Malformed, Rejected } from "../../kubernetes/errors.ts"
import { keyOf } from "../../kubernetes/object.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import type { ReportError } from "../pool/pool-reports.ts"
import type { PoolError } from "../pool/pool.ts"

/** Why a pool that may yet hear how the task ended does not. */
const untold = ["PoolRefused", "PoolTokenUnreadable", "PoolUnreachable"] as const
/** What later passes meet too. Where there is a decision to be made in spite of an answer to a read or a write, that is a refusal. */
export const lasting = ["Forbidden", "Invalid", "Malformed", "Rejected", "PoolChanged", "PoolMissing", ...untold] as const
export type Lasting = Forbidden | Invalid | Malformed | Rejected | ReportError

const isUntold = (error: Lasting): error is PoolError => untold.some((tag) => tag === error._tag)

/** Returns what there is to say, and by what it is news: the words of an answer may be other ones each time. */
const newsOf = (error: Lasting) =>
  isUntold(error)
    ? {
      reason: "PoolUnreachable",
      what: error._tag,
      message: `${sentence(error.message)} If nobody asks for its run any more, remove its finalizer ${poolFinalizer}.`
    } as const
    : error._tag === "PoolChanged" || error._tag === "PoolMissing"
    ? { reason: "PoolUnreachable", what: error.message, message: error.message } as const
    : { reason: "Refused", what: `${error._tag} ${error.verb} ${error.object}`, message: error.message } as const

/** The API server forgets an event after an hour. */
const sayAgainMillis = 50 * 60_000

export const makeStandstills = () => {
  const said = new Map<string, { readonly what: string; readonly at: number }>() // by the task's key
  return {
    /**
     * Returns the notice of what keeps the passes over the task from their end, if it is news. Its status may be what cannot be written. That
     * its pool does not hear how it ended is told of a task that somebody has deleted, which stays for that, a minute after its end: a pool may
     * be away for moments. `at` is in monotonic milliseconds.
     */
    notice: ({ metadata }: AgentTask, error: Lasting, at: number, overMillis: number): Option.Option<Notice> => {
      if (isUntold(error) && (metadata.deletionTimestamp === undefined || !isLongOver(overMillis))) return Option.none()
      const { message, reason, what: words } = newsOf(error)
      const what = `${metadata.uid} ${words}` // no pass need see that a task went before another had its name
      const key = keyOf(metadata)
      const before = said.get(key)
      if (before?.what === what && at - before.at < sayAgainMillis) return Option.none()
      said.set(key, { what, at })
      return Option.some(
        Notice.Emit({ type: "Warning", reason, message: `${message} Until then, the controller does nothing for this task.` })
      )
    },
    over: (key: string): void => void said.delete(key)
  }
}
