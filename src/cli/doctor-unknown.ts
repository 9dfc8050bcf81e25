// What the doctor may not do, or what the API server does not take of it, is told as a check whose outcome is unknown, and the rest is examined all the same.
// Invariant: a cluster that does not answer, or not to this login, ends the examination.
// Used by examination and doctor-objects.
import { Effect } from "effect"
import type { Check } from "../core/doctor.ts"
import type { KubernetesError } from "../kubernetes/errors.ts"

type Checks = ReadonlyArray<Check>

export const orUnknown =
  (name: string) => <R>(look: Effect.Effect<Checks, KubernetesError, R>): Effect.Effect<Checks, KubernetesError, R> =>
    Effect.catchTag(
      look,
      ["Forbidden", "Malformed", "Rejected", "Invalid", "NotFound", "Conflict"],
      ({ message }) => Effect.succeed<Checks>([{ name, outcome: "unknown", message }])
    )
