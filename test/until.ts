// Waits for what a test cannot be told of.
// Used by tests of every folder.
import { Effect } from "effect"
import { setTimeout } from "node:timers/promises"

/**
 * Waits in real time until the condition holds, whichever clock the code under test has; fails after five minutes. Also for tests that run
 * beside each other, where `expect.poll` does not know which of them asks.
 */
export const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.promise(async (signal) => {
    const begun = performance.now()
    let cause: unknown
    const attempt = (): boolean => {
      try {
        return holds()
      } catch (error) {
        cause = error
        return false
      }
    }
    while (!attempt() && !signal.aborted) {
      if (performance.now() - begun > 300_000) throw new Error(`not so after five minutes: ${holds}`, { cause })
      await setTimeout(10)
    }
  })
