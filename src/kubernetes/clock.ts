// Time for code that deals with Kubernetes: monotonic milliseconds for durations, and instants as its objects have them.
// Used by kubernetes/lease and kubernetes/credential-cache, and by the parts of controller, worker and cli that measure or write such times.
import { Clock, DateTime, Effect } from "effect"

/** Milliseconds of a monotonic clock of this process: they compare only with each other, never with an instant. */
export const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

/** The time of the wall clock as a task's status and our annotations have it: ISO 8601 in UTC, with milliseconds. */
export const currentInstant = Effect.map(DateTime.now, DateTime.formatIso)

/** Formats an instant, in milliseconds since 1970, as Kubernetes' MicroTime, which has exactly six decimals. */
export const microTime = (millis: number): string => new Date(millis).toISOString().replace("Z", "000Z")
