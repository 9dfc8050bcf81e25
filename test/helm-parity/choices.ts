// Random choices, which are the same each time for the same seed.
// Used by generated-values.ts, refusals.ts and generate.ts.

export type Some = readonly [unknown, ...ReadonlyArray<unknown>]

export interface Choices {
  /** Returns a whole number from 0 up to but not including the limit. */
  readonly below: (limit: number) => number
  readonly oneOf: <const All extends Some>(all: All) => All[number]
  /** Returns at least one of them, in their order. */
  readonly someOf: <const All extends Some>(all: All) => ReadonlyArray<All[number]>
  /** Returns true once in so many times, on average. */
  readonly oneIn: (times: number) => boolean
}

/** Makes choices with the generator mulberry32, which is short and good enough. */
export const choices = (seed: number): Choices => {
  let state = seed >>> 0
  const below = (limit: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
  const oneOf = <const All extends Some>(all: All): All[number] => all[below(all.length)]
  const someOf = <const All extends Some>(all: All): ReadonlyArray<All[number]> => {
    const some = all.filter(() => below(2) === 0)
    return some.length > 0 ? some : [oneOf(all)]
  }
  return { below, oneOf, someOf, oneIn: (times) => below(times) === 0 }
}
