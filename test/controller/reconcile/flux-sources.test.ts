// Tasks that follow the same source of Flux share what was read of it, as long as none of them needs a newer answer.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { readSource, sharedSources } from "../../../src/controller/reconcile/flux-sources.ts"
import { answerMillis } from "../../../src/core/reconcile/follow.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { Forbidden, type KubernetesError, NotFound, Unreachable } from "../../../src/kubernetes/errors.ts"
import { ObjectName } from "../../../src/schema/names.ts"
import type { AgentTask } from "../../../src/schema/task/agent-task.ts"
import { plainSeed, worldOf } from "../../core/worlds.ts"
import { instantCluster } from "../instant-cluster.ts"
import { plantSource } from "./planted.ts"

const follower = (name: string, source = "infra", resourceVersion = "1"): AgentTask => {
  const { task } = worldOf({ ...plainSeed, life: "succeeded", source: "known", follows: "plan" })
  return {
    ...task,
    metadata: { ...task.metadata, name, resourceVersion },
    spec: { ...task.spec, source: { fluxSource: { kind: "GitRepository", name: ObjectName.make(source) } } }
  }
}

/** An API server with two sources. `names` has the source of each request, and every answer comes after `before`. */
const asked = (before: Effect.Effect<void, KubernetesError> = Effect.void) => {
  const { kubernetes, server } = instantCluster()
  for (const name of ["infra", "other"]) plantSource(server, name, "a".repeat(64))
  const names: Array<string> = []
  const counting = Kubernetes.of({
    ...kubernetes,
    get: (kind, place) => {
      names.push(place.name)
      return Effect.andThen(before, kubernetes.get(kind, place))
    }
  })
  return { names, provide: Effect.provideService(Kubernetes, counting) }
}

describe("a source that cannot be read", () => {
  it.effect("is not ready, for which a task waits, where the controller has no right to it; where nobody answers, the pass is made again", () =>
    Effect.gen(function*() {
      const call = { verb: "get", object: "GitRepository tasks/infra", detail: "no" } as const
      const forbidden = new Forbidden({ ...call, code: 403, reason: "Forbidden" })
      const look = (error: KubernetesError) => Effect.exit(readSource(follower("one")).pipe(asked(Effect.fail(error)).provide))
      expect(yield* look(forbidden)).toMatchObject({ value: { _tag: "NotReady", message: forbidden.message } })
      const unreachable = new Unreachable(call)
      expect(yield* look(unreachable)).toEqual(Exit.fail(unreachable))
    }))
})

describe("a source that many tasks follow", () => {
  it.effect("is read once for all of them until the answer is too old, and each source for itself", () => {
    const { names, provide } = asked()
    return Effect.gen(function*() {
      const { look } = yield* sharedSources
      const all = Effect.forEach(["one", "two", "three"], (name) => look(follower(name)))
      expect((yield* all).map(({ _tag }) => _tag)).toEqual(["Ready", "Ready", "Ready"])
      yield* TestClock.adjust(answerMillis - 1)
      yield* all
      expect(names).toEqual(["infra"])
      yield* look(follower("four", "other"))
      expect(names).toEqual(["infra", "other"])
      yield* TestClock.adjust(1)
      yield* all
      expect(names).toEqual(["infra", "other", "infra"])
    }).pipe(provide)
  })

  it.effect("is read once for those that look while it is read", () =>
    Effect.gen(function*() {
      const answered = yield* Deferred.make<void>()
      const { names, provide } = asked(Deferred.await(answered))
      const seen = yield* Effect.gen(function*() {
        const { look } = yield* sharedSources
        const looks = yield* Effect.forkChild(Effect.all([look(follower("one")), look(follower("two"))], { concurrency: "unbounded" }))
        yield* TestClock.adjust(1)
        yield* Deferred.succeed(answered, undefined)
        return yield* Fiber.join(looks)
      }).pipe(provide)
      expect(seen.map(({ _tag }) => _tag)).toEqual(["Ready", "Ready"])
      expect(names).toEqual(["infra"])
    }))

  it.effect("is read anew for a task that has changed since its last look, as by an annotation", () => {
    const { names, provide } = asked()
    return Effect.gen(function*() {
      const { forget, look } = yield* sharedSources
      yield* look(follower("one"))
      yield* look(follower("one", "infra", "2"))
      expect(names).toHaveLength(2)
      yield* look(follower("one", "infra", "2"))
      forget("tasks/one")
      yield* look(follower("one", "infra", "3")) // the task's earlier looks are forgotten, so it does not count as changed
      expect(names).toHaveLength(2)
    }).pipe(provide)
  })

  it.effect("is asked again at once when it could not be read", () => {
    const { names, provide } = asked(
      Effect.fail(new Unreachable({ verb: "get", object: "GitRepository tasks/infra", detail: "no answer" }))
    )
    return Effect.gen(function*() {
      const { look } = yield* sharedSources
      for (const name of ["one", "two"]) expect((yield* Effect.flip(look(follower(name))))._tag).toBe("Unreachable")
      expect(names).toHaveLength(2)
    }).pipe(provide)
  })

  it.effect("is not there for a person to make where the cluster does not serve its kind, or only an older version of it", () => {
    const call = { verb: "get", object: "GitRepository tasks/infra", code: 404 } as const
    const said = (refusal: NotFound) =>
      Effect.flatMap(sharedSources, ({ look }) => look(follower("one"))).pipe(asked(Effect.fail(refusal)).provide)
    return Effect.gen(function*() {
      expect(yield* said(new NotFound({ ...call, reason: "Unknown", detail: "404 page not found", isKindServed: false }))).toMatchObject({
        message: "The cluster does not serve GitRepository of source.toolkit.fluxcd.io/v1; install Flux, 2.6 or later."
      })
      expect(yield* said(new NotFound({ ...call, reason: "NotFound", detail: "not found", isKindServed: true }))).toMatchObject({
        message: "There is no GitRepository infra in the namespace of the task; make it, or correct source.fluxSource."
      })
    })
  })
})
