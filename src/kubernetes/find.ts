// Reads an object that may not exist: a 404 becomes None.
// Used by the controller, which asks the API server itself where a lagging cache could do harm, and by the doctor.
import { Effect, Option } from "effect"
import { Kubernetes } from "./client.ts"
import type { KubernetesError } from "./errors.ts"
import type { Kind } from "./kinds.ts"
import type { NamespacedName } from "./object.ts"

export const find = <A>(kind: Kind<A>, name: NamespacedName): Effect.Effect<Option.Option<A>, KubernetesError, Kubernetes> =>
  Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.get(kind, name)).pipe(
    Effect.map(Option.some),
    Effect.catchTag("NotFound", () => Effect.succeedNone)
  )
