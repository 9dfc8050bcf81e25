// Loads code when a command needs it, so that each command pays in memory and start time only for what it does itself.
// Used by every command.
import { Effect } from "effect"

/** Returns the effect that `load` resolves to. A module that cannot be loaded is a defect, because then the program is broken. */
export const lazily = <A, E, R>(load: () => Promise<Effect.Effect<A, E, R>>): Effect.Effect<A, E, R> => Effect.flatten(Effect.promise(load))
