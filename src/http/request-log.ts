// What the log tells of a request at level Debug: its status, or that it had none, how long it took, and what its caller says of it.
// Invariant: at Info and above nothing is built or timed. Callers name the method and a path that has no query and no secret.
// Used by kubernetes/client, server/access/http-answer, server/lifecycle/listen and worker/network/task-api.
import { Clock, Effect, Exit, LogLevel } from "effect"

/** Logs at Debug, once `answer` is there or has failed or was given up, how that ended. */
export const logged =
  (message: string, asked: () => Readonly<Record<string, string>>) =>
  <A extends { readonly status: number }, E, R>(answer: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(LogLevel.isEnabled("Debug"), (isDebug) =>
      isDebug
        ? Effect.flatMap(Clock.monotonicTimeNanos, (begun) =>
          Effect.onExit(answer, (exit) =>
            Effect.flatMap(Clock.monotonicTimeNanos, (ended) => {
              const status = Exit.isSuccess(exit) ? exit.value.status : "none"
              return Effect.logDebug(message, { ...asked(), status, millis: Number((ended - begun) / 1_000_000n) })
            })))
        : answer)
