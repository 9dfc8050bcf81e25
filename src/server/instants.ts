// Instants as the server stores and tells them: RFC 3339, UTC, with milliseconds, so that their text sorts as they do.
// Used by the stores.
import { Clock, DateTime, Effect } from "effect"

/** Of milliseconds since 1970. */
export const instantOf = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis))

/** So many milliseconds from now; negative: before now. */
export const instantAfter = (millis: number): Effect.Effect<string> => Effect.map(Clock.currentTimeMillis, (at) => instantOf(at + millis))

export const now = instantAfter(0)
