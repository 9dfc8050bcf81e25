// How long the pool's server is asked about the state and its lock: for as long as that makes sense at each moment of a stage.
// Invariant: nothing is asked after the grace period; all requests after the engine's end together begin within `statePatience`, and one attempt after that.
// Used by worker/state/state-delivery.ts.
import { Duration, Effect } from "effect"
import { askAgain, type Patience, stopwatch } from "../network/patience.ts"
import { mayBeRenewed, NoAnswer, type TaskApiError } from "../network/task-api-error.ts"
import { TaskApi } from "../network/task-api.ts"
import { Settings } from "../settings.ts"
import { Stop } from "../task/stop.ts"

export type Asking = <A>(ask: Effect.Effect<A, TaskApiError>) => Effect.Effect<A, TaskApiError>

const logged: Asking = (ask) =>
  Effect.tapError(ask, ({ message }) => Effect.logWarning("A request to the pool's server about the state or its lock failed", message))

export const makeAsking = Effect.gen(function*() {
  const { poolPatience, statePatience } = yield* Settings
  const { plan, released, tooLate } = yield* Stop
  const { patiently } = yield* TaskApi
  /** How long the engine is known to be gone; until then, how long the stage runs. */
  let gone = yield* stopwatch
  /** Whether an engine that has to stop has waited in vain already. */
  let hasWaited = false

  const withinGrace: Asking = (ask) =>
    Effect.raceFirst(ask, Effect.andThen(tooLate, Effect.fail(new NoAnswer({ detail: "none before the end of the grace period" }))))
  /** `pauses`: what an engine waits for is asked for every few seconds; what may take days, as often as a tenth of the time until then. */
  const retried = <A>(
    ask: Effect.Effect<A, TaskApiError>,
    mayHelp: (error: TaskApiError) => boolean,
    limit: Duration.Duration,
    pauses: Pick<Patience<never>, "growth" | "spaced"> = { spaced: "5 seconds" }
  ): Effect.Effect<A, TaskApiError> => withinGrace(askAgain(ask, { while: mayHelp, first: "200 millis", limit, ...pauses }))

  /** Asks through an outage for `poolPatience` at most: an engine that has no lock or no state yet has done nothing that could be lost. */
  const beforeEngineWorks: Asking = (ask) => withinGrace(patiently(ask))
  /** Asks through an outage for as long as the engine waits, even with a refused token, which may be renewed meanwhile. */
  const whileEngineWaits: Asking = (ask) => retried(logged(ask), ({ _tag }) => _tag !== "Declined", Duration.infinity)
  /**
   * Asks like `before`, but not for long once the stage has to stop, and after a first time in vain only once: an engine with an answer
   * hears its interrupt, ends what it has begun, and leaves its whole state in a file for `settle`.
   */
  const orReleased = (before: Asking): Asking => (ask) => {
    const [asking, patience] = hasWaited ? [logged(ask), plan.releaseAfterMillis / 10] : [before(ask), plan.releaseAfterMillis]
    return Effect.raceFirst(
      asking,
      Effect.all([released, Effect.sleep(patience)], { concurrency: 2, discard: true }).pipe(
        Effect.andThen(Effect.sync(() => {
          hasWaited = true
        })),
        Effect.andThen(Effect.fail(new NoAnswer({ detail: "none before the engine has to stop" })))
      )
    )
  }
  const untilReleased = orReleased(whileEngineWaits)
  /** Asks for the state that the engine begins from, under a lock that it gives back if it hears in time that there is none. */
  const beforeEngineReads = orReleased(beforeEngineWorks)
  /** Asks after the engine is gone, for as long as asking again may help. */
  const afterEngineWhile = <A>(ask: Effect.Effect<A, TaskApiError>, mayHelp: (error: TaskApiError) => boolean) =>
    Effect.flatMap(
      Effect.suspend(() => gone),
      (time) => retried(ask, mayHelp, Duration.subtract(statePatience, time), { growth: 1.1, spaced: "30 seconds" })
    )
  /** Asks through an outage after the engine is gone, even with a refused token, because the worker may have the only copy of the state. */
  const afterEngine: Asking = (ask) => afterEngineWhile(logged(ask), (error) => error._tag === "NoAnswer" || mayBeRenewed(error))
  /**
   * Asks after the engine is gone for nothing but the end of a lock whose state is saved: through an outage like `afterEngine`, but with a
   * refused token for `poolPatience` at a stretch. When a stage was ended without its worker, the server never accepts its token for the
   * lock again, and its Pod must not stay for days.
   */
  const forLockAlone: Asking = (ask) =>
    afterEngineWhile(retried(logged(ask), mayBeRenewed, poolPatience), ({ _tag }) => _tag === "NoAnswer")

  /** Says that the engine is gone by now. */
  const engineIsGone = Effect.map(stopwatch, (begun) => {
    gone = begun
  })

  return { beforeEngineWorks, beforeEngineReads, whileEngineWaits, untilReleased, afterEngine, forLockAlone, engineIsGone }
})
