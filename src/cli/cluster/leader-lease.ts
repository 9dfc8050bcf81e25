// The Lease of the leading controller, on which commands leave annotations for it: that it is to be drained, that isolation is proven.
// The controller renews the Lease every two seconds, so a write may conflict: then it is retried on the newer version.
// Used by draining and doctor-network.
import { Effect, Schedule } from "effect"
import { leaderLeaseName } from "../../core/manifest/controller-names.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { leases } from "../../kubernetes/kinds.ts"
import type { Annotations } from "../../kubernetes/lease.ts"
import type { KubernetesObject } from "../../kubernetes/object.ts"

export interface Installation {
  readonly name: string
  readonly namespace: string
}

export const annotationsOf = ({ metadata: { annotations = {} } }: KubernetesObject): Annotations => annotations

/** Returns the Lease of the leading controller. Fails with `NotFound` if no controller ever ran. */
export const leaderLease = ({ name, namespace }: Installation) =>
  Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.get(leases, { namespace, name: leaderLeaseName({ name }) }))

export const markLeader = (installation: Installation, change: (annotations: Annotations) => Annotations) =>
  Effect.gen(function*() {
    const kubernetes = yield* Kubernetes
    const lease = yield* leaderLease(installation)
    return yield* kubernetes.update(leases, { ...lease, metadata: { ...lease.metadata, annotations: change(annotationsOf(lease)) } })
  }).pipe(Effect.retry({ while: ({ _tag }) => _tag === "Conflict", times: 10, schedule: Schedule.spaced("100 millis") }))
