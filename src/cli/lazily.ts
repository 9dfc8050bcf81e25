// Work that is loaded when it is wanted: a command pays in memory and start time only for what it does itself.
// Used by every command.
import { Effect } from "effect"

/** The effect that `load` gives; a module that cannot be loaded is a broken program, so a defect. */
export const lazily = <A, E, R>(load: () => Promise<Effect.Effect<A, E, R>>): Effect.Effect<A, E, R> => Effect.flatten(Effect.promise(load))
