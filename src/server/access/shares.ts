// How much of something each caller holds at once, such as unanswered requests, or bytes that are not read or have not arrived.
// Invariant: no caller holds more than it may, and a caller that holds nothing is not remembered.
// Used by server/access/limits and server/access/room.
import { Effect, Semaphore } from "effect"

/** Who holds something; two with the same kind and name are one. */
interface Caller {
  readonly kind: string
  readonly name: string
}

/** Makes a share for each caller. `most` must be the same for a caller each time. */
export const makeShares = () => {
  const shares = new Map<string, { readonly permits: Semaphore.Semaphore; users: number }>()
  /** Returns what is left of the caller's share, which is remembered until the scope ends. */
  const permitsOf = ({ kind, name }: Caller, most: number) => {
    const key = `${kind} ${name}`
    const join = Effect.sync(() => {
      const share = shares.get(key) ?? { permits: Semaphore.makeUnsafe(most), users: 0 }
      share.users++
      shares.set(key, share)
      return share
    })
    const leave = (share: { users: number }) =>
      Effect.sync(() => {
        if (--share.users === 0) shares.delete(key)
      })
    return Effect.map(Effect.acquireRelease(join, leave), ({ permits }) => permits)
  }
  return {
    /**
     * Waits for an amount and holds it until the scope ends. The caller holds at most `most`; a larger amount waits until the caller holds
     * nothing else.
     */
    take: (caller: Caller, amount: number, most: number) =>
      Effect.flatMap(permitsOf(caller, most), (permits) => permits.takeScoped(Math.min(amount, most))),
    /** Takes an amount until the scope ends; returns false, and takes nothing, if the caller would then hold more than `most`. */
    takeNow: (caller: Caller, amount: number, most: number) =>
      Effect.flatMap(
        permitsOf(caller, most),
        (permits) => Effect.acquireRelease(permits.takeIfAvailable(amount), (taken) => taken ? permits.release(amount) : Effect.void)
      )
  }
}
