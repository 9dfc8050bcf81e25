// Waiting for a condition, with a deadline.
// Used by life.ts, task-to-job.ts and worker-start.ts.
import { setTimeout as sleep } from "node:timers/promises"

const everyMillis = 20

/** Calls `look` until `wanted` accepts what it returns, and returns that; after the limit it fails with an error that names `what`. */
export const until = async <A>(
  what: string,
  look: () => A | Promise<A>,
  wanted: (seen: A) => boolean,
  limitMillis = 60_000
): Promise<A> => {
  const deadline = performance.now() + limitMillis
  for (;;) {
    const seen = await look()
    if (wanted(seen)) return seen
    if (performance.now() > deadline) throw new Error(`${what} did not come about in ${limitMillis / 1000} s`)
    await sleep(everyMillis)
  }
}
