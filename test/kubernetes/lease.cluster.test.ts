import { expect, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { leases } from "../../src/kubernetes/kinds.ts"
import { make } from "../../src/kubernetes/lease.ts"
import { Cluster, RealCluster } from "./real-cluster.ts"

layer(RealCluster, { excludeTestServices: true })("leader election in a real API server", (it) => {
  it.effect("hands over from one to the other as soon as the first one stops", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Cluster
      const kubernetes = yield* Kubernetes
      const place = { namespace, name: "leader" }
      const contender = Effect.fnUntraced(function*(identity: string) {
        const begun = yield* Deferred.make<void>()
        const election = yield* make({ ...place, identity, retryPeriod: "50 millis", aftermath: 0 })
        const fiber = yield* Effect.forkChild(election.lead(Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)))
        return { begun: Deferred.await(begun), leads: Deferred.isDone(begun), stop: Fiber.interrupt(fiber) }
      })
      const a = yield* contender("a")
      yield* a.begun
      const b = yield* contender("b")
      const { metadata } = yield* kubernetes.get(leases, place)
      const renewed = kubernetes.get(leases, place).pipe(
        Effect.repeat({ until: (lease) => lease.metadata.resourceVersion !== metadata.resourceVersion })
      )
      expect(yield* renewed).toMatchObject({ spec: { holderIdentity: "a", leaseTransitions: 0 } })
      expect(yield* b.leads).toBe(false)
      yield* a.stop
      yield* b.begun
      expect(yield* kubernetes.get(leases, place)).toMatchObject({
        spec: { holderIdentity: "b", leaseDurationSeconds: 15, leaseTransitions: 1 }
      })
      yield* b.stop
    }))
})
