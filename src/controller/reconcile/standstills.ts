// What to say of a task of which no pass comes to its end, until a person mends the cause: an answer of the API server, or the pool in the values.
// Invariant: the same is said again only after a pass has come to its end, or when the event before is about to be forgotten.
// Used by controller/reconcile/reconcile.
import { Option } from "effect"
import { Notice } from "../../core/reconcile/action.ts"
import type { Forbidden, Invalid, Malformed, Rejected } from "../../kubernetes/errors.ts"
import type { PoolChanged, PoolMissing } from "../pool/pool-reports.ts"

/** What each later pass meets too. Where there is a decision to be made in spite of an answer to a read or a write, that is a refusal. */
export const lasting = ["Forbidden", "Invalid", "Malformed", "Rejected", "PoolChanged", "PoolMissing"] as const
type Lasting = Forbidden | Invalid | Malformed | Rejected | PoolChanged | PoolMissing

const newsOf = (error: Lasting) =>
  error._tag === "PoolChanged" || error._tag === "PoolMissing"
    ? { reason: "PoolUnreachable", what: error.message } as const
    : { reason: "Refused", what: `${error._tag} ${error.verb} ${error.object}` } as const // the words of an answer may be other ones each time

/** The API server forgets an event after an hour. */
const sayAgainMillis = 50 * 60_000

export const makeStandstills = () => {
  const said = new Map<string, { readonly what: string; readonly at: number }>() // by the task's key
  return {
    /**
     * Returns the notice of what keeps the passes over the task from their end, if it is news. Its status may be what cannot be written.
     * `now` is in monotonic milliseconds.
     */
    notice: (key: string, error: Lasting, now: number): Option.Option<Notice> => {
      const { reason, what } = newsOf(error)
      const before = said.get(key)
      if (before?.what === what && now - before.at < sayAgainMillis) return Option.none()
      said.set(key, { what, at: now })
      return Option.some(
        Notice.Emit({ type: "Warning", reason, message: `${error.message} Until then, the controller does nothing for this task.` })
      )
    },
    over: (key: string): void => void said.delete(key)
  }
}
