// Waits for what a test cannot be told of.
// Used by tests of every folder.
import { Effect } from "effect"
import { expect } from "vitest"

/** Waits in real time until the condition holds, whichever clock the code under test has; fails after 30 seconds. */
export const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.promise(() => expect.poll(holds, { interval: 10, timeout: 30_000 }).toBe(true))
