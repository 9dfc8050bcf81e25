// What our own writes tell of the cache: it is behind as long as it has the version of a task that one of them replaced.
// A second conflict at the same version means that too, since nothing new was seen in between.
// Used by controller/reconcile/reconcile.

export interface OwnWrites {
  /** Records that a write replaced this version of the task. */
  readonly replaced: (key: string, version: string) => void
  /** Reports whether this version, which the cache has, is the one that the last write replaced: then the event of that is on its way. */
  readonly isBehind: (key: string, version: string) => boolean
  /**
   * Records that a write met a conflict at this version of the task, or that a cache was found to be behind. Reports whether that was so at
   * this version before: then the cache is behind, and may stay so for minutes.
   */
  readonly metConflict: (key: string, version: string) => boolean
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
      return isAgain
    },
    forget: (key) => {
      replaced.delete(key)
      conflicted.delete(key)
    }
  }
}
