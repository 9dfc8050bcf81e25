// A circuit breaker: leaves a silent server alone for a while; then one caller at a time finds out for all others whether it answers again.
// Invariant: a caller that may not ask is told when to come again, and soon while another one asks, since the server may have answered by then.
// Used by controller/pool/pool-reports, with one breaker for each kind of message to the pool.

export interface Breaker {
  /**
   * Lets one caller ask: returns 0 to it, which then calls `answered` or `silent`, and to any other the milliseconds after which to come
   * again. `at` is in monotonic milliseconds.
   */
  readonly askOrWait: (at: number) => number
  readonly answered: () => void
  readonly silent: (at: number) => void
}

interface Times {
  /** How long a silent server is left alone. */
  readonly restMillis: number
  /** How long the caller that asks has to say how it went. After that it counts as gone, and another may ask. */
  readonly askMillis: number
}

const soonMillis = 1000

export const makeBreaker = ({ askMillis, restMillis }: Times): Breaker => {
  let rests: { readonly until: number } | undefined
  let asked: { readonly at: number } | undefined
  return {
    askOrWait: (at) => {
      if (rests === undefined) return 0
      if (at < rests.until) return rests.until - at
      const askedFor = asked === undefined ? Infinity : at - asked.at
      if (askedFor < askMillis) return Math.min(Math.max(soonMillis, askedFor), askMillis - askedFor) // longer each time, since a thousand callers may wait
      asked = { at }
      return 0
    },
    answered: () => {
      rests = undefined
    },
    silent: (at) => {
      rests = { until: at + restMillis }
      asked = undefined
    }
  }
}
