// Brings tasks to the attention of the lead: each that has changed, or all of them where a decision on any may be another one now.
// While this replica does not lead, nobody looks: a lead begins with a look at all tasks.
// Used by controller/lifecycle/controller and controller/lifecycle/leader.
import { Effect, type Scope } from "effect"
import type { Cache } from "../world/cache.ts"

type Look = (key: string) => Effect.Effect<void>

export interface Attention {
  /** Has the lead look at the task of this key. */
  readonly look: Look
  readonly lookAtAll: Effect.Effect<void>
  /** Has `lead` hear of each task to look at, until the scope closes. */
  readonly attach: (lead: Look) => Effect.Effect<void, never, Scope.Scope>
}

const nobody: Look = () => Effect.void

export const makeAttention = (cache: Cache): Attention => {
  let lead = nobody
  const set = (next: Look) =>
    Effect.sync(() => {
      lead = next
    })
  const look: Look = (key) => Effect.suspend(() => lead(key))
  return {
    look,
    lookAtAll: Effect.suspend(() => Effect.forEach([...cache.tasks()], ([key]) => look(key), { discard: true })),
    attach: (next) => Effect.acquireRelease(set(next), () => set(nobody))
  }
}
