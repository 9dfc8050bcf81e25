// Sends what comes up beside a stage to the server: woken when there is something, slower while nothing is taken, and not at all once the server refuses.
// Always holds: one request at a time, and who has something to send never waits for it.
// Used by worker/journal and worker/log-shipper, which know what is next.
import { Data, Duration, Effect, Latch, Option, type Scope } from "effect"

/** Where the server's copy ends now, in entries of the journal or bytes of the log; or that it will take none any more. */
export type Received = Data.TaggedEnum<{
  StoredUpTo: { readonly end: number }
  Refused: {}
}>
export const Received = Data.taggedEnum<Received>()

/** What became of one request: the server took something of it; it took nothing, or did not answer; it will take none any more. */
export type Sent = "taken" | "failed" | "refused"

interface Work {
  /** The next request. */
  readonly once: Effect.Effect<Sent>
  /** There is something that the server has not got. */
  readonly isLeft: () => boolean
  /** Between two requests, when all goes well. */
  readonly pause: Duration.Duration
}

export interface Sending {
  /** The server refuses: nothing need be kept for it. */
  readonly isRefused: () => boolean
  /** There is something to send. */
  readonly wake: () => void
  /** Waits until the server has everything, at most this long; gives whether it has. */
  readonly flush: (limit: Duration.Input) => Effect.Effect<boolean>
}

/** Without a server. */
export const toNobody: Sending = { isRefused: () => true, wake: () => {}, flush: () => Effect.succeed(true) }

const slowest = 5000

/** Until the scope closes. */
export const startSending = Effect.fnUntraced(function*({ isLeft, once, pause }: Work): Effect.fn.Return<Sending, never, Scope.Scope> {
  const work = Latch.makeUnsafe(false)
  const idle = Latch.makeUnsafe(true)
  let isRefused = false
  let failures = 0

  const loop = Effect.gen(function*() {
    yield* work.await
    const sent = yield* Effect.catchDefect(
      once,
      (defect) => Effect.as(Effect.logError("What a stage sends was not sent, by a mistake", defect), "failed" as const)
    )
    failures = sent === "failed" ? failures + 1 : 0
    isRefused = sent === "refused"
    if (isRefused || !isLeft()) {
      work.closeUnsafe()
      idle.openUnsafe()
    }
    yield* Effect.sleep(failures === 0 ? pause : Duration.millis(Math.min(200 * 2 ** (failures - 1), slowest)))
  })
  yield* Effect.forkScoped(Effect.forever(loop))

  return {
    isRefused: () => isRefused,
    wake: () => {
      if (isRefused) return
      idle.closeUnsafe()
      work.openUnsafe()
    },
    flush: (limit) => Effect.map(Effect.timeoutOption(idle.await, limit), (idle) => Option.isSome(idle) && !isRefused)
  }
})
