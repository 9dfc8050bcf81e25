// What our own writes tell of the cache: it is behind as long as it has the version of a task that one of them replaced.
// A second conflict at the same version means that too, since nothing new was seen in between.
// Used by controller/reconcile/reconcile.
import { Duration } from "effect"

/** The delay after another writer was faster; the event of its write usually comes before the delay is over. */
const afterConflict = Duration.millis(200)
/** The delay after a second conflict at the same version: a cache is behind, and may stay so for minutes. */
export const whileBehind = Duration.seconds(5)

export interface OwnWrites {
  /** Records that a write replaced this version of the task. */
  readonly replaced: (key: string, version: string) => void
  /** Reports whether this version, which the cache has, is the one that the last write replaced: then the event of that is on its way. */
  readonly isBehind: (key: string, version: string) => boolean
  /**
   * Records that a write met a conflict at this version of the task, or that a cache was found to be behind. Returns the delay until the next
   * try.
   */
  readonly metConflict: (key: string, version: string) => Duration.Duration
  readonly forget: (key: string) => void
}

export const makeOwnWrites = (): OwnWrites => {
  const replaced = new Map<string, string>()
  const conflicted = new Map<string, string>()
  return {
    replaced: (key, version) => void replaced.set(key, version),
    isBehind: (key, version) => {
      const isBehind = replaced.get(key) === version
      if (!isBehind) replaced.delete(key)
      return isBehind
    },
    metConflict: (key, version) => {
      const isAgain = conflicted.get(key) === version
      conflicted.set(key, version)
      return isAgain ? whileBehind : afterConflict
    },
    forget: (key) => {
      replaced.delete(key)
      conflicted.delete(key)
    }
  }
}
