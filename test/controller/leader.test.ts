// What a lead leaves behind when it ends: nothing that still takes work in, or says that work waits.
import { expect, it } from "@effect/vitest"
import { Effect, Layer, Metric, Option, Ref, Stream, SubscriptionRef } from "effect"
import { Configuration } from "../../src/controller/configuration.ts"
import { whileLeader } from "../../src/controller/leader.ts"
import { Reconciler } from "../../src/controller/reconcile.ts"
import { make } from "../../src/controller/world.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { configOf } from "../core/configs.ts"
import { plainSeed, policy, worldOf } from "../core/worlds.ts"

const gauge = (name: string) => Effect.map(Metric.snapshot, (all) => all.find(({ id }) => id === name)?.state)

it.effect("ends a lead with an empty queue, which takes in nothing more", () =>
  Effect.gen(function*() {
    const worked: Array<string> = []
    const parts = Layer.mergeAll(
      Layer.succeed(Reconciler, Reconciler.of({ reconcile: (key) => Effect.as(Effect.sync(() => void worked.push(key)), Option.none()) })),
      Layer.succeed(Configuration, Configuration.of({ current: Effect.succeed(configOf()), changes: Stream.never, outdated: Effect.never })),
      Layer.mock(Kubernetes, { namespace: "tasks" })
    )
    const world = make(policy)
    world.setTask("tasks/task", Option.some(worldOf(plainSeed).task))
    const sink = yield* Ref.make<(key: string) => Effect.Effect<void>>(() => Effect.void)
    const add = (key: string) => Effect.flatMap(Ref.get(sink), (add) => add(key))
    const drained = yield* SubscriptionRef.make(false)
    const lead = Effect.scoped(whileLeader({ world, config: configOf(), identity: "test", sink, drained })).pipe(Effect.provide(parts))
    yield* Effect.raceFirst(lead, Effect.andThen(Effect.yieldNow, Effect.forEach(["tasks/a", "tasks/b", "tasks/c"], add)))
    yield* Effect.forEach(["tasks/d", "tasks/e"], add)
    expect(worked).toContain("tasks/task")
    expect(yield* gauge("agent_job_queue_depth")).toEqual({ value: 0 })
    expect(yield* gauge("agent_job_leader")).toEqual({ value: 0 })
    expect(worked).not.toContain("tasks/d")
  }))
