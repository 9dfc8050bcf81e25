// Work from the pool where something fails on the way: what is held up, and what goes on.
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import { Configuration } from "../../src/controller/configuration.ts"
import { Pool, PoolUnreachable } from "../../src/controller/pool.ts"
import { poolIntake } from "../../src/controller/pool-intake.ts"
import { make } from "../../src/controller/world.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { configOf } from "../core/configs.ts"
import { policy } from "../core/worlds.ts"
import { instantCluster } from "./instant-cluster.ts"

const configuration = Layer.succeed(Configuration, Configuration.of({ current: Effect.succeed(configOf()), changes: Stream.never, outdated: Effect.never }))

it.effect("carries out the cancellations after one that fails, and that one as soon as it can", () =>
  Effect.gen(function*() {
    const feed = ["run-a.plan.1", "run-b.plan.1", "run-c.plan.1"]
    const [broken = ""] = feed
    const asked: Array<{ readonly after: number; readonly waitSeconds: number }> = []
    const told: Array<string> = []
    let mended = false
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.never,
      cancellations: (after, waitSeconds) => {
        asked.push({ after, waitSeconds })
        const ids = feed.slice(after, after + 2)
        return Effect.delay(Effect.succeed({ ids, next: after + ids.length }), ids.length === 0 ? waitSeconds * 1000 : 0)
      },
      report: (id) => id === broken && !mended ? Effect.fail(new PoolUnreachable({ url: "http://pool", detail: "connection reset" })) : Effect.sync(() => void told.push(id))
    })
    const intake = { url: "http://pool", namespace: "tasks", identity: "test", world: make(policy), drained: yield* SubscriptionRef.make(false) }
    const running = yield* Effect.forkChild(poolIntake(intake).pipe(Effect.provide([pool, configuration, Layer.succeed(Kubernetes, instantCluster().kubernetes)])))
    yield* TestClock.adjust("1 second")
    expect(told).toEqual(["run-b.plan.1", "run-c.plan.1"])
    mended = true
    yield* TestClock.adjust("1 minute")
    expect(told).toEqual(["run-b.plan.1", "run-c.plan.1", broken])
    expect(asked.slice(0, 4)).toEqual([{ after: 0, waitSeconds: 30 }, { after: 2, waitSeconds: 5 }, { after: 3, waitSeconds: 5 }, { after: 3, waitSeconds: 30 }])
    yield* Fiber.interrupt(running)
  }))
