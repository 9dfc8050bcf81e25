// The hand of whoever has an object's status to write: a kubelet, source-controller.
// Fields that are given take the place of those of that name; what else the status has stays.
// Used by the tests of a cluster without a node or without Flux.
import { Effect } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import type { Kind } from "../../src/kubernetes/kinds.ts"
import type { Place } from "../../src/kubernetes/object.ts"

export const tellStatus = (kind: Kind, place: Place, status: object) =>
  Kubernetes.use((kubernetes) =>
    kubernetes.get(kind, place).pipe(
      Effect.flatMap((found) => kubernetes.updateStatus(kind, { ...found, status: { ...Object(found["status"]), ...status } })),
      Effect.retry({ while: ({ _tag }) => _tag === "Conflict" })
    )
  )
