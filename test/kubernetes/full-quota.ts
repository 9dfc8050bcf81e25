// A ResourceQuota that leaves no room and refuses at once in its usual words: whoever counts its use may take half a minute to begin.
// It is removed with the scope.
// Used by tests of the controller against a real API server.
import { Effect } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { configMaps, type Kind } from "../../src/kubernetes/kinds.ts"

const quotas: Kind = { ...configMaps, kind: "ResourceQuota", plural: "resourcequotas" }

/** Refuses every object that counts as `resource`, such as `pods`. `lift` removes the quota before the scope does. */
export const fullQuota = Effect.fnUntraced(function*(namespace: string, name: string, resource: string) {
  const kubernetes = yield* Kubernetes
  const lift = Effect.ignore(kubernetes.delete(quotas, { name, namespace }))
  const none = { [resource]: "0" }
  const { metadata } = yield* Effect.acquireRelease(
    kubernetes.create(quotas, { metadata: { name, namespace }, spec: { hard: none } }),
    () => lift
  )
  yield* kubernetes.updateStatus(quotas, { metadata, status: { hard: none, used: none } }).pipe(
    Effect.catchTag("Conflict", () => Effect.void) // it has been counted meanwhile
  )
  return { lift }
})
