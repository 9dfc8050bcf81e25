// Turns a request that the doctor may not make, or that the API server refuses, into a check with the outcome unknown. Other checks go on.
// Invariant: a cluster that does not answer, or does not accept this login, ends the examination.
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
