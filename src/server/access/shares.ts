// How much of something each caller holds at once, such as unanswered requests, or bytes that are not read or have not arrived.
// Invariant: no caller holds more than it may, and a caller that holds nothing is not remembered.
// Used by server/access/limits, server/access/arrivals and server/access/bodies.
import { Effect, type Scope, Semaphore } from "effect"

/** Who holds something; two with the same kind and name are one. */
interface Caller {
  readonly kind: string
  readonly name: string
}

export interface Shares {
  readonly of: (caller: Caller) => number
  /** Takes an amount until the scope ends; returns false, and takes nothing, if the caller would then hold more than `most`. */
  readonly take: (caller: Caller, amount: number, most: number) => Effect.Effect<boolean, never, Scope.Scope>
}

export interface Queues {
  /**
   * Waits for an amount and holds it until the scope ends. The caller holds at most `most`; a larger amount waits until the caller holds
   * nothing else.
   */
  readonly take: (caller: Caller, amount: number, most: number) => Effect.Effect<void, never, Scope.Scope>
}

const keyOf = ({ kind, name }: Caller): string => `${kind} ${name}`

/** Makes a queue for each caller. `most` must be the same for a caller each time. */
export const makeQueues = (): Queues => {
  const queues = new Map<string, { readonly permits: Semaphore.Semaphore; inIt: number }>()
  const join = (key: string, most: number) => {
    const queue = queues.get(key) ?? { permits: Semaphore.makeUnsafe(most), inIt: 0 }
    queue.inIt++
    queues.set(key, queue)
    return queue
  }
  return {
    take: Effect.fnUntraced(function*(caller, amount, most) {
      const key = keyOf(caller)
      const { permits } = yield* Effect.acquireRelease(Effect.sync(() => join(key, most)), (queue) =>
        Effect.sync(() => {
          if (--queue.inIt === 0) queues.delete(key)
        }))
      yield* permits.takeScoped(Math.min(amount, most))
    })
  }
}

export const makeShares = (): Shares => {
  const held = new Map<string, number>()
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
