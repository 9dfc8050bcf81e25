// One Lease in a pretended API server with compare-and-swap, and a connection to it for each contender, which a test may cut.
// Used by the tests of the lease and of drain.
import { Duration, Effect, Layer } from "effect"
import { Kubernetes, type Limit } from "../../src/kubernetes/client.ts"
import { AlreadyExists, Conflict, type KubernetesError, NotFound, Unreachable } from "../../src/kubernetes/errors.ts"
import type { Kind } from "../../src/kubernetes/kinds.ts"
import type { KubernetesObject, Writable } from "../../src/kubernetes/object.ts"

/**
 * "refused": every call fails. "lost": a write takes effect but its answer is lost, and a read fails. "unanswered": a write takes effect
 * but never returns, and a read works. "awaited": a write waits for a webhook until the API server gives it up, and a read works. "passed": it waits for one that is passed over after 4 seconds. "slow": a
 * call takes effect at once, and its answer takes 4 seconds. "hangs": no call returns.
 */
export interface Connection {
  state: "works" | "refused" | "lost" | "unanswered" | "awaited" | "passed" | "slow" | "hangs"
}

const refusal = { verb: "update", object: "Lease team/leader", code: 0, reason: "", detail: "" } as const
const givenUp = new Unreachable({ verb: "update", object: "Lease team/leader", detail: "request did not complete", answered: true })
const unreachable = new Unreachable({ verb: "update", object: "Lease team/leader", detail: "connection refused" })

export class FakeLease {
  lease: KubernetesObject | undefined
  #version = 0

  put(object: Writable): KubernetesObject {
    this.lease = {
      ...object,
      metadata: { ...object.metadata, namespace: "team", name: "leader", uid: "u", resourceVersion: String(++this.#version) }
    }
    return this.lease
  }
  /** Changes the spec, labels or annotations of the Lease as another writer does. */
  edit(
    { annotations, labels, spec = this.lease?.["spec"] }: {
      readonly spec?: unknown
      readonly labels?: Record<string, string>
      readonly annotations?: Record<string, string>
    }
  ): void {
    const edited = {
      ...this.lease,
      metadata: { ...this.lease?.metadata, ...(labels && { labels }), ...(annotations && { annotations }) },
      spec
    }
    this.put(edited)
  }

  connect(connection: Connection) {
    const over = (
      call: Effect.Effect<KubernetesObject, KubernetesError>,
      isWrite: boolean,
      { within }: Limit = { within: "25 seconds" }
    ): Effect.Effect<KubernetesObject, KubernetesError> =>
      Effect.suspend(() => {
        switch (connection.state) {
          case "works":
            return call
          case "refused":
            return Effect.fail(unreachable)
          case "lost":
            return isWrite ? Effect.andThen(call, Effect.fail(unreachable)) : Effect.fail(unreachable)
          case "unanswered":
            return isWrite ? Effect.andThen(call, Effect.never) : call
          case "awaited":
            return isWrite ? Effect.andThen(Effect.sleep(within), Effect.fail(givenUp)) : call
          case "passed":
            return !isWrite
              ? call
              : Duration.toSeconds(within) > 4
              ? Effect.delay(call, "4 seconds")
              : Effect.delay(Effect.fail(givenUp), within)
          case "slow":
            return Effect.tap(call, () => Effect.sleep("4 seconds"))
          case "hangs":
            return Effect.never
        }
      })
    const decoded = <A>(kind: Kind<A>, call: Effect.Effect<KubernetesObject, KubernetesError>) =>
      Effect.flatMap(call, (object) => Effect.orDie(Effect.fromResult(kind.decode(object))))
    return Layer.mock(Kubernetes, {
      namespace: "team",
      get: (kind) =>
        decoded(
          kind,
          over(
            Effect.suspend(() =>
              this.lease === undefined ? Effect.fail(new NotFound({ ...refusal, isKindServed: true })) : Effect.succeed(this.lease)
            ),
            false
          )
        ),
      create: (kind, object, limit) =>
        decoded(
          kind,
          over(
            Effect.suspend(() => this.lease === undefined ? Effect.succeed(this.put(object)) : Effect.fail(new AlreadyExists(refusal))),
            true,
            limit
          )
        ),
      update: (kind, object, limit) =>
        decoded(
          kind,
          over(
            Effect.suspend((): Effect.Effect<KubernetesObject, KubernetesError> =>
              this.lease === undefined
                ? Effect.fail(new NotFound({ ...refusal, isKindServed: true }))
                : this.lease.metadata.resourceVersion === object.metadata.resourceVersion
                ? Effect.succeed(this.put(object))
                : Effect.fail(new Conflict(refusal))
            ),
            true,
            limit
          )
        )
    })
  }
}
