// A user of whom the machine knows neither name nor home, as of most users in a container.
// Used by the tests of credentials and of `agent-job state`.
import { Effect } from "effect"

const uid = 54_321

/** Lets the rest of the test run as such a user; only root can, and others go on as they are. Returns the user's id, if it runs so. */
export const nameless = Effect.acquireRelease(
  Effect.sync(() => {
    const { HOME: home } = process.env
    if (process.getuid?.() !== 0) return { home, uid: undefined }
    delete process.env.HOME
    process.seteuid?.(uid)
    return { home, uid }
  }),
  ({ home, uid }) =>
    Effect.sync(() => {
      if (uid === undefined) return
      process.seteuid?.(0)
      if (home !== undefined) process.env.HOME = home
    })
)
