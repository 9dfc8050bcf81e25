// Turns a request that the doctor may not make, or that the API server refuses, into a check with the outcome unknown. Other checks go on.
// Invariant: a cluster that does not answer, or does not accept this login, ends the examination.
// Used by examination, doctor-policies and doctor-objects.
import { Effect, Schema } from "effect"
import { type Check, check, type CheckName } from "../../core/doctor/check.ts"
import { type Call, type KubernetesError, Malformed } from "../../kubernetes/errors.ts"

type Checks = ReadonlyArray<Check>

/** Decodes an answer of the API server to `call`. Fails with `Malformed` if it has another shape, so that nothing is concluded from it. */
export const decodedAs = <S extends Schema.ConstraintDecoder<unknown>>(schema: S, call: Call) => {
  const decode = Schema.decodeUnknownEffect(schema)
  return (answer: unknown): Effect.Effect<S["Type"], Malformed> =>
    Effect.mapError(decode(answer), ({ message }) => new Malformed({ ...call, detail: message }))
}

export const orUnknown =
  (name: CheckName) => <R>(look: Effect.Effect<Checks, KubernetesError, R>): Effect.Effect<Checks, KubernetesError, R> =>
    Effect.catchTag(
      look,
      ["Forbidden", "Malformed", "Rejected", "Invalid", "NotFound", "Conflict"],
      ({ message }) => Effect.succeed<Checks>([check(name)("unknown", message)])
    )
