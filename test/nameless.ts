// A user of whom the machine knows neither name nor home, as of most users in a container.
// Used by the tests of credentials, of `agent-job state` and of archive.
import { Effect } from "effect"

/** Whether a test can run as such a user: only root can become another one. */
export const canBeNameless = process.getuid?.() === 0

/** Lets the rest of the test run as such a user, whose id is 54321. */
export const nameless = Effect.acquireRelease(
  Effect.sync(() => {
    const { HOME: home } = process.env
    delete process.env.HOME
    process.seteuid?.(54_321)
    return home
  }),
  (home) =>
    Effect.sync(() => {
      process.seteuid?.(0)
      if (home !== undefined) process.env.HOME = home
    })
)
