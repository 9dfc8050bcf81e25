// Work from the pool when something fails on the way: what is held up, and what goes on.
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Metric, Option, References, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import { Pool, PoolRefused, PoolUnreachable } from "../../../src/controller/pool/pool.ts"
import { make } from "../../../src/controller/world/world.ts"
import { NotUnderstood } from "../../../src/core/task/offer.ts"
import { agentTasks } from "../../../src/kubernetes/kinds.ts"
import { Uid } from "../../../src/schema/names.ts"
import { configOf } from "../../core/configs.ts"
import { plainSeed, policy, worldOf } from "../../core/worlds.ts"
import { loggerTo } from "../../logger.ts"
import { instantCluster } from "../instant-cluster.ts"
import { assignment, taking } from "./taking.ts"

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
      report: (id) =>
        id === broken && !mended
          ? Effect.fail(new PoolUnreachable({ url: "http://pool", detail: "connection reset" }))
          : Effect.sync(() => void told.push(id))
    })
    const running = yield* taking(pool, instantCluster().kubernetes)
    yield* TestClock.adjust("1 second")
    expect(told).toEqual(["run-b.plan.1", "run-c.plan.1"])
    mended = true
    yield* TestClock.adjust("1 minute")
    expect(told).toEqual(["run-b.plan.1", "run-c.plan.1", broken])
    expect(asked.slice(0, 4)).toEqual([
      { after: 0, waitSeconds: 20 },
      { after: 2, waitSeconds: 5 },
      { after: 3, waitSeconds: 5 },
      { after: 3, waitSeconds: 20 }
    ])
    yield* Fiber.interrupt(running)
  }))

it.effect("says at level Debug what the pool offered, by its id, and why no work was asked for", () =>
  Effect.gen(function*() {
    const said: Array<unknown> = []
    const drained = yield* SubscriptionRef.make(false)
    const pool = Layer.mock(Pool, {
      acquire: (_, waitSeconds) => Effect.delay(Effect.succeed(said.length === 0 ? [assignment] : []), waitSeconds * 1000),
      acknowledge: () => Effect.void,
      cancellations: () => Effect.delay(Effect.succeed({ ids: [], next: 0 }), "50 seconds")
    })
    const running = yield* taking(pool, instantCluster().kubernetes, { drained }).pipe(
      Effect.provideService(References.MinimumLogLevel, "Debug"),
      Effect.provide(Logger.layer([loggerTo(({ message }) => said.push(message))]))
    )
    yield* TestClock.adjust("45 seconds")
    yield* SubscriptionRef.set(drained, true)
    yield* TestClock.adjust("1 minute")
    yield* Fiber.interrupt(running)
    const [work, cancellations] = ["the pool was asked for work", "the pool was asked for cancellations"]
    expect(said).toEqual([
      [work, { free: expect.any(Number), offered: [assignment.id] }],
      [work, { free: expect.any(Number), offered: [] }],
      [cancellations, { ids: [], resting: undefined }],
      [cancellations, { ids: [], resting: "drained" }]
    ])
  }))

it.effect("has the tasks told anew to a pool that was away, which may be an earlier copy, and only then", () =>
  Effect.gen(function*() {
    const world = make(policy)
    const { task } = worldOf({ ...plainSeed, life: "claimed", pool: true })
    world.setTask("tasks/task", Option.some(task))
    const [looks, wait] = [new Array<string>(), { reason: "Claimed", message: "It runs." } as const]
    world.setReportedWait(task.metadata.uid, wait)
    let isAway = false
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.never,
      cancellations: () =>
        Effect.suspend(() =>
          isAway
            ? Effect.fail(new PoolUnreachable({ url: "http://pool", detail: "connection reset" }))
            : Effect.delay(Effect.succeed({ ids: [], next: 0 }), "20 seconds")
        )
    })
    const running = yield* taking(pool, instantCluster().kubernetes, { world, look: (key) => Effect.sync(() => void looks.push(key)) })
    yield* TestClock.adjust("1 minute")
    expect([looks, world.reportedWait(task.metadata.uid)]).toEqual([[], Option.some(wait)])
    isAway = true
    yield* TestClock.adjust("1 minute")
    expect(looks).toEqual([])
    isAway = false
    yield* TestClock.adjust("1 minute")
    expect([looks, world.reportedWait(task.metadata.uid)]).toEqual([["tasks/task"], Option.none()])
    world.setReportedWait(task.metadata.uid, wait)
    yield* TestClock.adjust("1 minute")
    expect(looks).toHaveLength(1)
    yield* Fiber.interrupt(running)
  }).pipe(Effect.provide(Logger.layer([]))))

it.effect("follows cancellations from their beginning again for a pool that was away, which may be a copy from before their results", () =>
  Effect.gen(function*() {
    const cursors: Array<number> = [] // of each first poll after failures
    let failures = 0
    let hasFailed = false
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.never,
      cancellations: (after) =>
        Effect.suspend(() => {
          const fails = failures-- > 0
          if (hasFailed && !fails) cursors.push(after)
          hasFailed = fails
          return fails
            ? Effect.fail(new PoolUnreachable({ url: "http://pool", detail: "connection reset" }))
            : Effect.delay(Effect.succeed({ ids: [], next: 7 }), "20 seconds")
        })
    })
    const running = yield* taking(pool, instantCluster().kubernetes)
    yield* TestClock.adjust("1 minute")
    for (const times of [3, 4]) {
      failures = times
      yield* TestClock.adjust("1 minute")
    }
    yield* Fiber.interrupt(running)
    expect(cursors).toEqual([7, 0])
  }).pipe(Effect.provide(Logger.layer([]))))

it.effect.each(
  [
    { given: "dropped all packets until a poll was given up", hangs: "35 seconds", after: 0 },
    { given: "cut a poll that had almost waited for its time", hangs: "19 seconds", after: 7 }
  ] as const
)("asks from cursor $after after a path that $given", ({ after, hangs }) =>
  Effect.gen(function*() {
    const cursors: Array<number> = []
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.never,
      cancellations: (cursor) =>
        Effect.suspend(() =>
          cursors.push(cursor) === 2
            ? Effect.delay(Effect.fail(new PoolUnreachable({ url: "http://pool", detail: "no answer" })), hangs)
            : Effect.delay(Effect.succeed({ ids: [], next: 7 }), "20 seconds")
        )
    })
    const running = yield* taking(pool, instantCluster().kubernetes)
    yield* TestClock.adjust("1 minute")
    yield* Fiber.interrupt(running)
    expect(cursors.slice(0, 3)).toEqual([0, 7, after])
  }).pipe(Effect.provide(Logger.layer([]))))

it.effect("has no task told anew to a pool that fails a poll now and then, as a busy one does", () =>
  Effect.gen(function*() {
    const world = make(policy)
    const { task } = worldOf({ ...plainSeed, life: "claimed", pool: true })
    world.setTask("tasks/task", Option.some(task))
    world.setReportedWait(task.metadata.uid, { reason: "Claimed", message: "It runs." })
    const looks = new Array<string>()
    let asked = 0
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.never,
      cancellations: () =>
        Effect.suspend(() =>
          asked++ % 3 < 2
            ? Effect.fail(new PoolUnreachable({ url: "http://pool", detail: "503 busy" }))
            : Effect.delay(Effect.succeed({ ids: [], next: 0 }), "20 seconds")
        )
    })
    const running = yield* taking(pool, instantCluster().kubernetes, { world, look: (key) => Effect.sync(() => void looks.push(key)) })
    yield* TestClock.adjust("5 minutes")
    expect([asked > 20, looks]).toEqual([true, []])
    yield* Fiber.interrupt(running)
  }).pipe(Effect.provide(Logger.layer([]))))

it.effect("takes nothing that a poll brings once the cluster is drained, so that another agent may have it", () =>
  Effect.gen(function*() {
    const { kubernetes, server } = instantCluster()
    const drained = yield* SubscriptionRef.make(false)
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.delay(Effect.succeed([assignment]), "10 seconds"),
      acknowledge: () => Effect.void,
      cancellations: () => Effect.never
    })
    const running = yield* taking(pool, kubernetes, { drained })
    yield* TestClock.adjust("5 seconds")
    yield* SubscriptionRef.set(drained, true)
    yield* TestClock.adjust("1 minute")
    expect(server.all(agentTasks)).toEqual([])
    yield* SubscriptionRef.set(drained, false)
    yield* TestClock.adjust("1 minute")
    expect(server.all(agentTasks)).toHaveLength(1)
    yield* Fiber.interrupt(running)
  }))

it.effect("asks no more than ten times a second a pool that answers everything at once, with nothing or what it cannot take", () =>
  Effect.gen(function*() {
    const asked = { acquire: 0, cancellations: 0 }
    const most = 1000 // so that this ends without the limit too
    const pool = Layer.mock(Pool, {
      acquire: () =>
        Effect.suspend(() => {
          const offers = [[], [new NotUnderstood({ id: undefined, message: "It is of tomorrow." })]][asked.acquire++ % 2] ?? []
          return asked.acquire < most ? Effect.succeed(offers) : Effect.never
        }),
      cancellations: () => Effect.suspend(() => asked.cancellations++ < most ? Effect.succeed({ ids: [], next: 0 }) : Effect.never)
    })
    const running = yield* taking(pool, instantCluster().kubernetes)
    for (let millis = 0; millis < 950; millis += 10) yield* TestClock.adjust("10 millis")
    expect(asked).toEqual({ acquire: 10, cancellations: 10 })
    yield* Fiber.interrupt(running)
  }))

const enough = configOf().policy.limits.total + 100

it.effect.each(
  [
    { given: "of Git, for a source that is away", waiting: enough, seed: { source: "notReady", waitsForSource: true }, asksFor: 100 },
    { given: "of the pool, one less than a backlog", waiting: enough - 1, seed: { pool: true }, asksFor: 1 },
    { given: "of the pool, which are a backlog", waiting: enough, seed: { pool: true }, asksFor: undefined }
  ] as const
)("takes runs while tasks wait $given: $asksFor", ({ asksFor, seed, waiting }) =>
  Effect.gen(function*() {
    const world = make(policy)
    const { task } = worldOf({ ...plainSeed, life: "queued", ...seed })
    for (let index = 0; index < waiting; index++) {
      world.setTask(
        `tasks/task-${index}`,
        Option.some({ ...task, metadata: { ...task.metadata, name: `task-${index}`, uid: Uid.make(`uid-${index}`) } })
      )
    }
    let asked: number | undefined
    let because: unknown
    const pool = Layer.mock(Pool, {
      acquire: (_, _waitSeconds, most) =>
        Effect.suspend(() => {
          asked = most
          return Effect.never
        }),
      cancellations: (_, _waitSeconds, resting) =>
        Effect.suspend(() => {
          because = resting?.because
          return Effect.never
        })
    })
    const running = yield* taking(pool, instantCluster().kubernetes, { world })
    yield* TestClock.adjust("1 second")
    yield* Fiber.interrupt(running)
    expect([asked, because]).toEqual([asksFor, asksFor === undefined ? "full" : undefined])
  }))

const answeredAt = Effect.map(
  Metric.snapshot,
  (all) => all.find(({ id }) => id === "agent_job_pool_answered_timestamp_seconds")?.state
)

const noCancellations = (next: number, waitSeconds: number) => Effect.delay(Effect.succeed({ ids: [], next }), waitSeconds * 1000)

it.effect.each([
  { given: "refuses the token", error: new PoolRefused({ url: "http://pool", status: 401, code: "unauthorized", detail: "" }), after: 0 },
  { given: "is away", error: new PoolUnreachable({ url: "http://pool", detail: "connection refused" }), after: 0 },
  { given: "is silent", error: new PoolUnreachable({ url: "http://pool", detail: "no answer in 35s" }), after: 35_000 }
])(
  "says when the pool last gave a usable answer about work, whatever it says of cancellations, of one that $given",
  ({ after, error }) =>
    Effect.gen(function*() {
      let answers = false
      const pool = Layer.mock(Pool, {
        acquire: (_, waitSeconds) =>
          Effect.suspend(() => answers ? Effect.delay(Effect.succeed([]), waitSeconds * 1000) : Effect.delay(Effect.fail(error), after)),
        cancellations: noCancellations
      })
      yield* TestClock.setTime(1_000_000)
      const running = yield* taking(pool, instantCluster().kubernetes)
      yield* TestClock.adjust("10 minutes")
      expect(yield* answeredAt).toEqual({ value: 1_000 })
      answers = true
      yield* TestClock.adjust("2 minutes")
      expect(yield* answeredAt).toMatchObject({ value: expect.closeTo(1_700, -2) })
      yield* Fiber.interrupt(running)
    })
)

const ofPool = worldOf({ ...plainSeed, life: "queued", pool: true }).task

const empty = make(policy)

const full = {
  ...empty,
  turns: { ...empty.turns, waiting: () => Array(1000).fill("tasks/task") },
  cache: { ...empty.cache, task: () => Option.some(ofPool) }
}

it.effect.each([
  { given: "the cluster is drained", options: { isDrained: true } },
  { given: "enough tasks wait here", options: { world: full } }
])("says while it is not asked for work when the pool last told of cancellations, since $given", ({ options }) =>
  Effect.gen(function*() {
    let answers = true
    const silent = new PoolUnreachable({ url: "http://pool", detail: "connection refused" })
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.die("it is not asked"),
      cancellations: (after, waitSeconds) => Effect.suspend(() => answers ? noCancellations(after, waitSeconds) : Effect.fail(silent))
    })
    yield* TestClock.setTime(1_000_000)
    const running = yield* taking(pool, instantCluster().kubernetes, options)
    yield* TestClock.adjust("10 minutes")
    expect(yield* answeredAt).toEqual({ value: 1_600 })
    answers = false
    yield* TestClock.adjust("10 minutes")
    expect(yield* answeredAt).toEqual({ value: 1_620 })
    yield* Fiber.interrupt(running)
  }))

it.effect("does not count the pool as silent while it is busy with what that gave it", () =>
  Effect.gen(function*() {
    let calls = 0
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.sync(() => [assignment].slice(0, ++calls)),
      acknowledge: () => Effect.never,
      cancellations: () => Effect.never
    })
    yield* TestClock.setTime(1_000_000)
    const running = yield* taking(pool, instantCluster().kubernetes)
    yield* TestClock.adjust("10 minutes")
    expect([calls, yield* answeredAt]).toMatchObject([1, { value: expect.closeTo(1_600, -2) }])
    yield* Fiber.interrupt(running)
  }))

it.effect.each([
  { given: "the cluster is drained", options: { isDrained: true }, resting: { agent: "test", because: "drained" } },
  { given: "enough tasks wait here", options: { world: full }, resting: { agent: "test", because: "full" } },
  { given: "both", options: { isDrained: true, world: full }, resting: { agent: "test", because: "drained" } },
  { given: "it asks for work", options: {}, resting: undefined }
])("says with each poll for cancellations why it asks for no work: $given", ({ options, resting }) =>
  Effect.gen(function*() {
    const told: Array<unknown> = []
    const pool = Layer.mock(Pool, {
      acquire: () => Effect.never,
      cancellations: (after, waitSeconds, resting) =>
        Effect.andThen(Effect.sync(() => void told.push(resting)), noCancellations(after, waitSeconds))
    })
    const running = yield* taking(pool, instantCluster().kubernetes, options)
    yield* TestClock.adjust("50 seconds")
    yield* Fiber.interrupt(running)
    expect(told).toEqual([resting, resting, resting])
  }))
