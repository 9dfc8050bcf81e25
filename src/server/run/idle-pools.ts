// For how long work has waited for pools of which nothing is at work, from looks at them from time to time.
// Invariant: a time between two looks that are far apart is not counted, because anything may have been at work in it.
// Used by server/lifecycle/health-routes.

/** What the looks have shown: when the last one was, and since when each pool is idle, in seconds of the monotonic clock. */
export interface Idleness {
  readonly lookedAt: number
  readonly since: ReadonlyMap<string | null, number>
}

export const unseen: Idleness = { lookedAt: Number.NEGATIVE_INFINITY, since: new Map() }

/** How far apart two looks may be so that a pool that was idle at both counts as idle between them; Prometheus has the same patience. */
const mostBetweenSeconds = 300

/** Returns what the looks have shown together with another one, at which these pools were idle. */
export const lookedAgain = (before: Idleness, idle: ReadonlyArray<string | null>, at: number): Idleness => {
  const known = at - before.lookedAt <= mostBetweenSeconds ? before.since : unseen.since
  return { lookedAt: at, since: new Map(idle.map((pool) => [pool, known.get(pool) ?? at])) }
}

/** Returns for how many whole seconds the pool is idle that is so for the longest; 0 if none is. */
export const longestSeconds = ({ lookedAt, since }: Idleness): number =>
  since.size === 0 ? 0 : Math.floor(lookedAt - Math.min(...since.values()))
