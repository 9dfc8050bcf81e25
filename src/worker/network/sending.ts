// Sends log and journal to the server while the stage runs: slower while the server takes nothing, and no more once it refuses.
// Invariant: there is one request at a time, and no caller waits for it.
// Used by worker/engine/journal and worker/engine/log-shipper, which know what is next.
import { Data, Duration, Effect, Latch, Option, type Scope } from "effect"

/** The server's answer: where its copy ends now, in entries of the journal or bytes of the log; or that it takes nothing any more. */
export type ServerAnswer = Data.TaggedEnum<{
  StoredUpTo: { readonly end: number }
  Refused: {}
}>
export const ServerAnswer = Data.taggedEnum<ServerAnswer>()

interface Work {
  /** Makes the next request; fails when the server did not answer, or refused the token. Absent where there is no server. */
  readonly send: Option.Option<Effect.Effect<ServerAnswer, { readonly message: string }>>
  /** Takes note of where the server's copy ends; reports whether it has grown, or else the server took nothing this time. */
  readonly storedUpTo: (end: number) => boolean
  /** Tells that the server takes nothing any more. */
  readonly refused: Effect.Effect<void>
  /** Reports whether there is something that the server has not got. */
  readonly isLeft: () => boolean
  /** Returns the pause after a request that the server took. A flush ends the pause. */
  readonly pause: () => Duration.Duration
}

export interface Sending {
  /** Reports whether the server refuses, so that nothing need be kept for it. */
  readonly isRefused: () => boolean
  /** Called when there is something to send. */
  readonly wake: () => void
  /** Waits until the server has everything, at most this long; returns whether it has. */
  readonly flush: (limit: Duration.Input) => Effect.Effect<boolean>
}

const toNobody: Sending = { isRefused: () => true, wake: () => {}, flush: () => Effect.succeed(true) }

/** The pauses after a failure, in milliseconds: the first and the longest. */
const [soonest, slowest] = [200, 5000]

/** Sends until the scope closes; without a server, nothing need be kept. */
export const startSending = Effect.fnUntraced(function*(
  { isLeft, pause, refused, send, storedUpTo }: Work
): Effect.fn.Return<Sending, never, Scope.Scope> {
  if (Option.isNone(send)) return toNobody
  const work = Latch.makeUnsafe(false)
  const idle = Latch.makeUnsafe(true)
  const hurried = Latch.makeUnsafe(false)
  let isRefused = false
  let failures = 0
  /** The longest pause after a failure in a hurry, in milliseconds: a part of what somebody waits, which may be days. */
  let hurry = slowest

  const once = Effect.matchEffect(send.value, {
    onFailure: ({ message }) => Effect.as(Effect.logDebug("The log or journal was not taken", message), "failed" as const),
    onSuccess: ServerAnswer.$match({
      Refused: () => Effect.as(refused, "refused" as const),
      StoredUpTo: ({ end }) => Effect.sync(() => storedUpTo(end) ? "taken" : "failed")
    })
  })
  const loop = Effect.gen(function*() {
    yield* work.await
    const sent = yield* Effect.catchDefect(
      once,
      (defect) =>
        Effect.as(Effect.logError("The log or journal could not be sent, because of an unexpected error", defect), "failed" as const)
    )
    failures = sent === "failed" ? failures + 1 : 0
    isRefused = sent === "refused"
    if (isRefused || !isLeft()) {
      work.closeUnsafe()
      idle.openUnsafe()
      hurried.closeUnsafe()
    }
    yield* failures === 0
      ? Effect.timeoutOption(hurried.await, pause())
      : Effect.raceFirst(
        Effect.sleep(Math.min(soonest * 2 ** (failures - 1), slowest)),
        Effect.andThen(hurried.await, Effect.suspend(() => Effect.sleep(hurry)))
      )
  })
  yield* Effect.forkScoped(Effect.forever(loop))

  return {
    isRefused: () => isRefused,
    wake: () => {
      if (isRefused) return
      idle.closeUnsafe()
      work.openUnsafe()
    },
    flush: (limit) =>
      Effect.suspend(() => {
        hurry = Math.min(Math.max(soonest, Duration.toMillis(limit) / 40), slowest)
        if (isLeft()) hurried.openUnsafe()
        return Effect.map(Effect.timeoutOption(idle.await, limit), (idle) => Option.isSome(idle) && !isRefused)
      })
  }
})
