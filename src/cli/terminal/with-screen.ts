// Gives a command a screen, which is loaded and made only when a command that needs it runs.
// Used by what prints an answer, by cli/server/with-server and cli/cluster/with-cluster, and by the command render.
import { Effect } from "effect"
import { lazily } from "./lazily.ts"
import type { Screen, ScreenOptions } from "./screen.ts"

export const forPeople: ScreenOptions = { colours: true, forProgram: false }
export const forPrograms: ScreenOptions = { colours: false, forProgram: true }
/** For what a person is told until the answer is printed, which a program may read. */
export const besideAnswer: ScreenOptions = { colours: true, forProgram: true }

/** Does `work` with a screen. Its parts may also ask for it as a service. */
export const withScreen = <A, E, R>(options: ScreenOptions, work: (screen: Screen["Service"]) => Effect.Effect<A, E, R>) =>
  lazily(async () => {
    const { Screen } = await import("./screen.ts")
    return Effect.flatMap(Screen, work).pipe(Effect.provide(Screen.layer(options)))
  })
