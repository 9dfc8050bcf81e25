// Time for code that deals with Kubernetes: monotonic milliseconds for durations, and instants as its API writes them.
// Used by kubernetes/lease, controller/reconcile, controller/execute, controller/event and controller/pool-reports.
import { Clock, Effect } from "effect"

/** Milliseconds of a monotonic clock of this process: they compare only with each other, never with an instant. */
export const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

/** Formats an instant, in milliseconds since 1970, as Kubernetes' MicroTime, which has exactly six decimals. */
export const microTime = (millis: number): string => new Date(millis).toISOString().replace("Z", "000Z")
