// Says what a command waits for, once that has taken some seconds: silence looks as if the command hung.
// Used by cli/cluster/cluster, cli/server/with-server and cli/doctor/examination.
import { Duration, Effect, Fiber } from "effect"
import { Screen } from "./screen.ts"

/** How long a person may be left without a word. */
const longestSilence = Duration.seconds(2)

/** Does the work, and says each second, after `silence`, what it waits for: a status that stays is printed if no line changes in place. */
export const sayingMeanwhile =
  (what: string, silence = longestSilence) => <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Screen> =>
    Effect.gen(function*() {
      const { status } = yield* Screen
      const saying = yield* Effect.andThen(status(what), Effect.sleep("1 second")).pipe(
        Effect.forever,
        Effect.delay(silence),
        Effect.forkChild
      )
      return yield* Effect.ensuring(work, Fiber.interrupt(saying))
    })
