// Removes the Pods and policies of earlier doctors that could not: they were killed, or lost their cluster.
// Invariant: those of a doctor that still runs stay, since none runs for as long as it takes until they count as left.
// Used by examination.
import { Effect } from "effect"
import { doctorLabel } from "../../core/network/probe.ts"
import { millisSince } from "../../core/reconcile/situation.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { currentInstant } from "../../kubernetes/clock.ts"
import { networkPolicies, pods } from "../../kubernetes/kinds.ts"

/** A doctor ends within minutes. The rest is for a clock here that is not that of the API server. */
const leftAfterMillis = 3_600_000

/** Never fails, because an examination can do without. What is above one page of a kind is left to the next doctor. */
export const removeEarlierDoctors = Effect.fnUntraced(function*({ taskNamespace: namespace }: ResolvedConfig) {
  const kubernetes = yield* Kubernetes
  const now = yield* currentInstant
  const removeOf = Effect.fnUntraced(function*(kind: typeof pods) {
    const { items } = yield* kubernetes.list(kind, { namespace, labelSelector: doctorLabel, limit: 100 })
    for (const { metadata: { creationTimestamp = now, name, uid } } of items) {
      if (millisSince(creationTimestamp, now) > leftAfterMillis) {
        yield* Effect.ignore(kubernetes.delete(kind, { namespace, name }, { uid, gracePeriodSeconds: 0 }))
      }
    }
  })
  yield* Effect.all([pods, networkPolicies].map((kind) => Effect.ignore(removeOf(kind))), { concurrency: 2 })
})
