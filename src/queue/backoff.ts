// Exponential backoff for each key on its own: the delay doubles with each further failure in a row, up to a cap.
// Invariant: after `ended`, a key is as if it had never failed.
// Used by queue/keyed-queue, controller/reconcile/reconcile and controller/lifecycle/leader.
import { Duration } from "effect"

export interface Backoff<K> {
  /** Counts one more failure. Returns the number of failures in a row and how long to wait before the next try. */
  readonly failed: (key: K) => { readonly count: number; readonly delay: Duration.Duration }
  /** Forgets the failures of a key that succeeded or is gone. */
  readonly ended: (key: K) => void
}

export const makeBackoff = <K>(base: Duration.Duration, cap: Duration.Duration): Backoff<K> => {
  const counts = new Map<K, number>()
  return {
    failed: (key) => {
      const count = (counts.get(key) ?? 0) + 1
      counts.set(key, count)
      return { count, delay: Duration.min(Duration.times(base, 2 ** Math.min(count - 1, 30)), cap) }
    },
    ended: (key) => void counts.delete(key)
  }
}
