// Time as what goes with Kubernetes needs it: milliseconds that only ever grow, for durations, and instants as its API writes them.
// Used by kubernetes/lease, controller/reconcile, controller/execute, controller/event and controller/pool-reports.
import { Clock, Effect } from "effect"

/** Of this process alone: to be compared with its own, never with an instant. */
export const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

/** An instant, in milliseconds since 1970, as Kubernetes' MicroTime, which has exactly six decimals. */
export const microTime = (millis: number): string => new Date(millis).toISOString().replace("Z", "000Z")
