// Reads an object that need not be there.
// Used by the controller, which asks live where a cache that lags could do harm, and by the doctor.
import { Effect, Option } from "effect"
import { Kubernetes } from "./client.ts"
import type { KubernetesError } from "./errors.ts"
import type { Kind } from "./kinds.ts"
import type { Place } from "./object.ts"

export const find = <A>(kind: Kind<A>, place: Place): Effect.Effect<Option.Option<A>, KubernetesError, Kubernetes> =>
  Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.get(kind, place)).pipe(
    Effect.map(Option.some),
    Effect.catchTag("NotFound", () => Effect.succeedNone)
  )
