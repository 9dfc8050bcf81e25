// How long to wait after failures in a row, for each key on its own: twice as long after each further one, up to a cap.
// Always holds: a key that has ended is as if it had never failed.
// Used by queue/keyed-queue and controller/reconcile.
import { Duration } from "effect"

export interface Backoff<K> {
  /** Once more: how often in a row by now, and how long to wait. */
  readonly failed: (key: K) => { readonly count: number; readonly delay: Duration.Duration }
  /** It went well, or is gone. */
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
