// Instants as the server stores and tells them: RFC 3339, UTC, with milliseconds, so that their texts sort as the instants do.
// Used by the stores.
import { Clock, DateTime, Effect } from "effect"

/** Returns the instant that is so many milliseconds after 1970. */
export const instantOf = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis))

/** Returns the instant that is so many milliseconds from now; a negative number is before now. */
export const instantAfter = (millis: number): Effect.Effect<string> => Effect.map(Clock.currentTimeMillis, (at) => instantOf(at + millis))

export const now = instantAfter(0)
