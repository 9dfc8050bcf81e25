// The bodies that are held in memory whole: states, as they are or encrypted. So many bytes of them at once, whoever sends them; the others wait and are not read.
// Invariant: what has not arrived yet counts in full, and small bodies have room of their own, so those that large ones keep waiting are large.
// Used by the task, state and workspace routes; how long a sender may take is in server/listen.
import { Context, Duration, Effect, Layer, Semaphore, Stream } from "effect"
import type { HttpServerRequest } from "effect/http"
import type { Failure } from "./answer.ts"
import { Refused, tooLarge } from "./refused.ts"

const mebibyte = 1024 * 1024

interface Room {
  readonly smallUpTo: number
  /** Of all small ones together, and of all others. */
  readonly small: number
  readonly large: number
  /** Shorter than a connection may be silent. */
  readonly wait: Duration.Duration
}

/** A quarter of the memory that the server has (core/manifest/server), since what is parsed, one state at a time, takes most of the rest. */
export const BodyRoom = Context.Reference<Room>("agent-job/server/BodyRoom", {
  defaultValue: () => ({ smallUpTo: 4 * mebibyte, small: 32 * mebibyte, large: 96 * mebibyte, wait: Duration.seconds(30) })
})

const retryAfterSeconds = 5
const busy = new Refused({
  status: 503, error: "busy", retryAfterSeconds,
  message: `The server holds as many states in memory as it may, and none of them was done in time; repeat it in ${retryAfterSeconds} s.`
})

/** What it says of its length, or else the most that it may have. */
const sizeOf = (request: HttpServerRequest.HttpServerRequest, limitBytes: number): number => {
  const said = request.headers["content-length"]
  return said === undefined ? limitBytes : Number(said)
}

/** Without a second copy of it. */
const readWhole = (request: HttpServerRequest.HttpServerRequest, sizeBytes: number) =>
  Effect.suspend(() => {
    const whole = Buffer.allocUnsafe(sizeBytes)
    let read = 0
    return Stream.runForEach(request.stream, (chunk) => {
      if (read + chunk.byteLength > sizeBytes) return Effect.fail(tooLarge(sizeBytes))
      whole.set(chunk, read)
      read += chunk.byteLength
      return Effect.void
    }).pipe(Effect.map(() => whole.subarray(0, read)))
  })

export class Bodies extends Context.Service<Bodies, {
  /** What `use` does with the whole body, which has its room until then. 413 past the limit, 503 when there is no room for it in time. */
  readonly whole: <A, E>(request: HttpServerRequest.HttpServerRequest, limitBytes: number, use: (bytes: Uint8Array) => Effect.Effect<A, E>) => Effect.Effect<A, E | Failure>
}>()("agent-job/server/Bodies") {
  static readonly layer = Layer.effect(Bodies, Effect.map(BodyRoom, ({ large, small, smallUpTo, wait }) => {
    const ofSmall = Semaphore.makeUnsafe(small)
    const ofLarge = Semaphore.makeUnsafe(large)

    return Bodies.of({
      whole: (request, limitBytes, use) => Effect.scoped(Effect.gen(function*() {
        const sizeBytes = sizeOf(request, limitBytes)
        if (!(sizeBytes <= limitBytes)) return yield* tooLarge(limitBytes)
        yield* (sizeBytes <= smallUpTo ? ofSmall : ofLarge).takeScoped(sizeBytes).pipe(Effect.timeoutOrElse({ duration: wait, orElse: () => Effect.fail(busy) }))
        return yield* use(yield* readWhole(request, sizeBytes))
      }))
    })
  }))
}
