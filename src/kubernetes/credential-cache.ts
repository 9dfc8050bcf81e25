// Reads credentials from files, and keeps what was read for a minute.
// A token is read again at least every minute, and at once after a 401; no credential is ever part of an error.
// Used by in-cluster.ts and kubeconfig.ts.
import { Cache, Effect, Exit } from "effect"
import { readFile } from "node:fs/promises"
import { errorInWords } from "../schema/system-error.ts"
import { monotonicMillis } from "./clock.ts"
import type { Credentials } from "./credentials.ts"
import { NoCredentials } from "./errors.ts"

export const read = (path: string, next: string) =>
  Effect.tryPromise({
    try: () => readFile(path, "utf8"),
    catch: (error) => new NoCredentials({ problem: `Cannot read ${path}: ${errorInWords(error)}`, next })
  })

const minuteMillis = 60_000

/** Caches a success for a minute and a failure not at all; the second effect forgets it at once. */
export const forAMinute = Effect.fnUntraced(function*(headers: Credentials["headers"]) {
  const cache = yield* Cache.makeWith(() => headers, { capacity: 1, timeToLive: (exit) => Exit.isSuccess(exit) ? "Infinity" : 0 })
  let since = yield* monotonicMillis // its age is told by this clock, since nobody sets it
  const cached = Effect.gen(function*() {
    const now = yield* monotonicMillis
    if (now - since >= minuteMillis) {
      since = now // at once, so that those who come while it is read wait for that
      yield* Cache.invalidateAll(cache)
    }
    return yield* Cache.get(cache, "headers")
  })
  return [cached, Cache.invalidateAll(cache)] as const
})

/** The kubelet replaces the token file well before the token expires. `next` is what to do where it cannot be read. */
export const bearer = (path: string, next: string) =>
  read(path, next).pipe(Effect.map((token) => ({ authorization: `Bearer ${token.trim()}` })))
