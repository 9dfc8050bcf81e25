// Writes an object's status in place of the component that owns it, such as a kubelet or source-controller.
// The given fields replace those of the same name; the rest of the status stays.
// Used by the tests of a cluster without a node or without Flux.
import { Effect } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import type { Kind } from "../../src/kubernetes/kinds.ts"
import type { NamespacedName } from "../../src/kubernetes/object.ts"

export const tellStatus = (kind: Kind, name: NamespacedName, status: object) =>
  Kubernetes.use((kubernetes) =>
    kubernetes.get(kind, name).pipe(
      Effect.flatMap((found) => kubernetes.updateStatus(kind, { ...found, status: { ...Object(found["status"]), ...status } })),
      Effect.retry({ while: ({ _tag }) => _tag === "Conflict" })
    )
  )
