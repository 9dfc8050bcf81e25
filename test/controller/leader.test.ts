// What a lead does beside each pass, and what it leaves behind when it ends: nothing that still takes work in, or says that work waits.
import { expect, it } from "@effect/vitest"
import { Effect, Layer, Metric, Option, Ref, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import { Configuration } from "../../src/controller/configuration.ts"
import { Executor, Refused } from "../../src/controller/execute.ts"
import { whileLeader } from "../../src/controller/leader.ts"
import { Reconciler } from "../../src/controller/reconcile.ts"
import { make } from "../../src/controller/world.ts"
import { Action } from "../../src/core/action.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { Uid } from "../../src/schema/names.ts"
import { configOf } from "../core/configs.ts"
import { plainSeed, policy, worldOf } from "../core/worlds.ts"

const heard = () => Effect.succeed(true)
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

it.effect("calls up who was told to wait for a slot that is given back, though no event tells of that", () =>
  Effect.gen(function*() {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    const { task } = worldOf({ ...plainSeed, life: "queued" })
    const refusal = new Refused({ kind: "Refused", message: "no", againInMillis: 10_000 })
    const asked: Array<string> = []
    const all: Executor["Service"]["all"] = ({ metadata: { name } }, actions) =>
      Effect.suspend(() => actions.some(Action.$is("CreateJob")) && asked.push(name) > 0 && name === "first" ? Effect.andThen(Effect.sleep("1 second"), Effect.fail(refusal)) : Effect.void)
    for (const name of ["first", "second"]) {
      world.setTask(`tasks/${name}`, Option.some({ ...task, metadata: { ...task.metadata, name, uid: Uid.make(name) } }))
    }
    const executor = Executor.of({ say: heard, all, writeStatus: ({ metadata }) => Effect.succeed(metadata.resourceVersion) }) // no write brings anybody back
    const parts = Reconciler.layer(world).pipe(
      Layer.provide(Layer.succeed(Executor, executor)),
      Layer.provideMerge(Layer.succeed(Configuration, Configuration.of({ current: Effect.succeed(configOf()), changes: Stream.never, outdated: Effect.never }))),
      Layer.provideMerge(Layer.mock(Kubernetes, { namespace: "tasks" }))
    )
    const sink = yield* Ref.make<(key: string) => Effect.Effect<void>>(() => Effect.void)
    yield* Effect.forkScoped(whileLeader({ world, config: configOf(), identity: "test", sink, drained: yield* SubscriptionRef.make(false) }).pipe(Effect.provide(parts)))
    yield* TestClock.adjust("999 millis")
    expect(asked).toEqual(["first"])
    yield* TestClock.adjust("1 millis")
    expect(asked).toEqual(["first", "second"])
  }).pipe(Effect.scoped))
