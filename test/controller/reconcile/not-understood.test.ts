// A task that is not understood says so itself, to those who describe it, and nobody waits until it has.
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Latch } from "effect"
import { tellNotUnderstood } from "../../../src/controller/reconcile/not-understood.ts"
import { whyNotUnderstood } from "../../../src/core/task/not-understood.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { events } from "../../../src/kubernetes/kinds.ts"
import { instantCluster } from "../instant-cluster.ts"

const newer = {
  metadata: { name: "newer", namespace: "tasks", uid: "newer-uid", resourceVersion: "4" },
  spec: { stage: "refresh" },
  status: {}
}

it.effect("an event of a task says what is not understood of it, once", () =>
  Effect.gen(function*() {
    const { kubernetes, server } = instantCluster()
    const { tell } = yield* Effect.provideService(tellNotUnderstood("me"), Kubernetes, kubernetes)
    yield* tell(newer)
    yield* tell(newer)
    yield* Effect.yieldNow
    expect(server.all(events)).toMatchObject([{
      regarding: { kind: "AgentTask", name: "newer", namespace: "tasks", uid: "newer-uid" },
      type: "Warning",
      reason: "Refused",
      note: whyNotUnderstood(newer),
      reportingInstance: "me"
    }])
  }))

it.effect("each of a hundred such tasks that are found at once has its event", () =>
  Effect.gen(function*() {
    const { kubernetes, server } = instantCluster()
    const { tell } = yield* Effect.provideService(tellNotUnderstood("me"), Kubernetes, kubernetes)
    for (let index = 0; index < 100; index++) yield* tell({ ...newer, metadata: { ...newer.metadata, name: `newer-${index}` } })
    yield* Effect.repeat(Effect.yieldNow, { times: 1000 })
    expect(server.all(events)).toHaveLength(100)
  }))

it.effect("a thousand of them wait for their event, and no more, since each keeps its whole object in memory", () =>
  Effect.gen(function*() {
    const { kubernetes, server } = instantCluster()
    const answers = yield* Latch.make()
    const create: Kubernetes["Service"]["create"] = (kind, object) => Effect.andThen(answers.await, kubernetes.create(kind, object))
    const { tell } = yield* Effect.provideService(tellNotUnderstood("me"), Kubernetes, { ...kubernetes, create })
    for (let index = 0; index < 1500; index++) {
      yield* tell({ ...newer, metadata: { ...newer.metadata, name: `newer-${index}` } })
      yield* Effect.yieldNow // the first of them is told of, and has no answer
    }
    yield* answers.open
    yield* Effect.repeat(Effect.yieldNow, { times: 20_000 })
    expect(server.all(events)).toHaveLength(1001)
  }))

it.effect("who tells of such a task does not wait until the API server has taken the event", () =>
  Effect.gen(function*() {
    const { kubernetes } = instantCluster()
    const { tell } = yield* Effect.provideService(tellNotUnderstood("me"), Kubernetes, { ...kubernetes, create: () => Effect.never })
    const told = yield* Effect.forkChild(Effect.andThen(tell(newer), tell(newer)), { startImmediately: true })
    expect(told.pollUnsafe()).toBeDefined()
    yield* Fiber.interrupt(told)
  }))
