// For how long one that is silent is left alone: while it is, one caller at a time finds out for all others whether it answers again.
// Always holds: who may not ask is told when to come again, and soon while somebody asks, since it may have answered by then.
// Used by controller/pool-reports, once for each kind of thing that a pool is told.

export interface Breaker {
  /** At this time, in monotonic milliseconds: 0 for whoever may ask, and then says how it went; to others, after how many to come again. */
  readonly waitMillis: (at: number) => number
  readonly answered: () => void
  readonly silent: (at: number) => void
}

interface Times {
  /** For which it is left alone. */
  readonly restMillis: number
  /** In which who asks says how it went; one that does not is taken for gone. */
  readonly askMillis: number
}

const soonMillis = 1000

export const makeBreaker = ({ askMillis, restMillis }: Times): Breaker => {
  let rests: { readonly until: number } | undefined
  let asked: { readonly at: number } | undefined
  return {
    waitMillis: (at) => {
      if (rests === undefined) return 0
      if (at < rests.until) return rests.until - at
      const askedFor = asked === undefined ? Infinity : at - asked.at
      if (askedFor < askMillis) return Math.min(Math.max(soonMillis, askedFor), askMillis - askedFor) // ever more seldom, as a thousand may do so
      asked = { at }
      return 0
    },
    answered: () => {
      rests = undefined
      asked = undefined
    },
    silent: (at) => {
      rests = { until: at + restMillis }
      asked = undefined
    }
  }
}
