// How much of something each caller holds at once, such as requests that are not answered or bytes that are not read.
// Always holds: nobody has more than may be had, and who has nothing is not remembered.
// Used by server/limits and server/bodies.
import { Effect, type Scope } from "effect"
import type { Caller } from "./tokens.ts"

export interface Shares {
  readonly of: (caller: Caller) => number
  /** Until the scope ends; whether it was to be had: with what the caller has it may be `most`. */
  readonly take: (caller: Caller, amount: number, most: number) => Effect.Effect<boolean, never, Scope.Scope>
}

export const makeShares = (): Shares => {
  const held = new Map<string, number>()
  const keyOf = ({ kind, name }: Caller): string => `${kind} ${name}`
  const add = (key: string, amount: number): void => {
    const after = (held.get(key) ?? 0) + amount
    if (after === 0) held.delete(key)
    else held.set(key, after)
  }
  const of = (caller: Caller): number => held.get(keyOf(caller)) ?? 0
  return {
    of,
    take: (caller, amount, most) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          if (of(caller) + amount > most) return false
          add(keyOf(caller), amount)
          return true
        }),
        (taken) =>
          Effect.sync(() => {
            if (taken) add(keyOf(caller), -amount)
          })
      )
  }
}
