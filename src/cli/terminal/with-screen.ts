// Gives a command a screen, which is loaded and made only when a command that needs it runs.
// Used by what prints an answer, by cli/server/with-server and cli/cluster/with-cluster, and by the command render.
import { Effect } from "effect"
import { lazily } from "./lazily.ts"
import type { Screen, ScreenOptions } from "./screen.ts"

/** Its result is on stdout, and what a person is told meanwhile beside that. */
const withResult: ScreenOptions = { colours: true, forProgram: true }
/** It tells a person what it does, and nothing else. */
export const forPeople: ScreenOptions = { colours: true, forProgram: false }

/** Does `work` with a screen. Its parts may also ask for it as a service. */
export const withScreen = <A, E, R>(work: (screen: Screen["Service"]) => Effect.Effect<A, E, R>, options = withResult) =>
  lazily(async () => {
    const { Screen } = await import("./screen.ts")
    return Effect.flatMap(Screen, work).pipe(Effect.provide(Screen.layer(options)))
  })
