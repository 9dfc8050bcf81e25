// Loads code when a command needs it, so that each command pays in memory and start time only for what it does itself.
// Used by the commands, and by what several of them share.
import { Effect } from "effect"

/** Returns the code that `load` resolves to. A module that cannot be loaded is a defect, because then the program is broken. */
export const loading = <A>(load: () => Promise<A>): Effect.Effect<A> => Effect.promise(load)

/** Returns the effect that `load` resolves to. */
export const lazily = <A, E, R>(load: () => Promise<Effect.Effect<A, E, R>>): Effect.Effect<A, E, R> => Effect.flatten(loading(load))
