// What a leader does besides its passes, and what it leaves behind when it ends: nothing that takes in work or says that work waits.
import { assert, describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Logger, Metric, Option, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import { Configuration } from "../../../src/controller/configuration/configuration.ts"
import { makeAttention } from "../../../src/controller/lifecycle/attention.ts"
import { drainLimit, whileLeader } from "../../../src/controller/lifecycle/leader.ts"
import { Executor } from "../../../src/controller/reconcile/execute.ts"
import { Reconciler } from "../../../src/controller/reconcile/reconcile.ts"
import { WriteRefused } from "../../../src/controller/reconcile/refusals.ts"
import { make } from "../../../src/controller/world/world.ts"
import { Action } from "../../../src/core/reconcile/action.ts"
import { formerLeadMillis, launchLimitMillis } from "../../../src/core/scheduling/draining.ts"
import { callTimeout, Kubernetes } from "../../../src/kubernetes/client.ts"
import { monotonicMillis } from "../../../src/kubernetes/clock.ts"
import { Forbidden, TooManyRequests } from "../../../src/kubernetes/errors.ts"
import { agentTasks, secrets } from "../../../src/kubernetes/kinds.ts"
import { SinceRenewal } from "../../../src/kubernetes/lease.ts"
import { Uid } from "../../../src/schema/names.ts"
import { configOf } from "../../core/configs.ts"
import { noon, plainSeed, policy, type Seed, worldOf } from "../../core/worlds.ts"
import { instantCluster } from "../instant-cluster.ts"
import { assignment, offering } from "../pool/taking.ts"
import { plantJob, plantPod } from "../reconcile/planted.ts"

const heard = () => Effect.succeed(true)
const gauge = (name: string) => Effect.map(Metric.snapshot, (all) => all.find(({ id }) => id === name)?.state)

const configuration = Layer.succeed(
  Configuration,
  Configuration.of({ current: Effect.succeed(configOf()), changes: Stream.never, outdated: Effect.never })
)

/** Returns a lead of this world, not begun yet, and what puts tasks before it. */
const leading = ({
  reconcile = () => Effect.succeedNone,
  world = make(policy),
  drained = Effect.runSync(SubscriptionRef.make(false))
}: Partial<Pick<Reconciler["Service"], "reconcile"> & Pick<Parameters<typeof whileLeader>[0], "world" | "drained">> = {}) => {
  const parts = Layer.mergeAll(
    Layer.succeed(Reconciler, Reconciler.of({ reconcile })),
    configuration,
    Layer.mock(Kubernetes, { namespace: "tasks" })
  )
  const attention = makeAttention(world.cache)
  const lead = Effect.scoped(whileLeader({ world, config: configOf(), identity: "test", attention, drained })).pipe(Effect.provide(parts))
  return { attention, lead }
}

it.effect("ends a lead with an empty queue, which takes in nothing more", () =>
  Effect.gen(function*() {
    const worked: Array<string> = []
    const world = make(policy)
    world.setTask("tasks/task", Option.some(worldOf(plainSeed).task))
    const { attention, lead } = leading({ world, reconcile: (key) => Effect.as(Effect.sync(() => void worked.push(key)), Option.none()) })
    yield* Effect.raceFirst(lead, Effect.andThen(Effect.yieldNow, Effect.forEach(["tasks/a", "tasks/b", "tasks/c"], attention.look)))
    yield* Effect.forEach(["tasks/d", "tasks/e"], attention.look)
    expect(worked).toContain("tasks/task")
    expect(yield* gauge("agent_job_queue_depth")).toEqual({ value: 0 })
    expect(yield* gauge("agent_job_leader")).toEqual({ value: 0 })
    expect(worked).not.toContain("tasks/d")
  }))

it.effect("ends with a bug in what looks at tasks whose turn has come, and does not go on without that", () =>
  Effect.gen(function*() {
    const world = make(policy)
    const buggy = { ...world, turns: { ...world.turns, untold: () => assert.fail("a bug") } }
    const end = yield* Effect.forkChild(Effect.exit(leading({ world: buggy }).lead))
    yield* TestClock.adjust("1 second")
    world.setTask("tasks/task", Option.some(worldOf(plainSeed).task))
    yield* TestClock.adjust("10 seconds")
    expect(end.pollUnsafe()).toMatchObject(Exit.succeed({ _tag: "Failure" }))
  }))

it.effect("keeps the lead until the request for a Job is over whose pass it did not wait for", () =>
  Effect.gen(function*() {
    const world = make(policy)
    const { task } = worldOf(plainSeed)
    world.setTask("tasks/task", Option.some(task))
    const executor = Executor.of({ say: heard, all: () => Effect.never, writeStatus: () => Effect.succeed("2") })
    const parts = Reconciler.layer(world).pipe(
      Layer.provide(Layer.succeed(Executor, executor)),
      Layer.provideMerge(configuration),
      Layer.provideMerge(Layer.mock(Kubernetes, { namespace: "tasks" }))
    )
    const attention = makeAttention(world.cache)
    const drained = yield* SubscriptionRef.make(false)
    const lead = yield* Effect.forkChild(
      Effect.scoped(whileLeader({ world, config: configOf(), identity: "test", attention, drained })).pipe(Effect.provide(parts))
    )
    yield* TestClock.adjust("1 second")
    const end = yield* Effect.forkChild(Fiber.interrupt(lead))
    yield* TestClock.adjust("49 seconds")
    expect([world.turns.launching(), lead.pollUnsafe()]).toEqual([false, undefined])
    yield* TestClock.adjust("1 second")
    yield* Fiber.join(end)
    expect(lead.pollUnsafe()).toBeDefined()
  }))

it.effect("has passes that know how old the last renewal of their lead is", () =>
  Effect.gen(function*() {
    const told: Array<number> = []
    const reconcile = () => Effect.map(Effect.flatten(SinceRenewal), (millis) => (told.push(millis), Option.none()))
    const { attention, lead } = leading({ reconcile })
    const led = yield* Effect.forkChild(Effect.provideService(lead, SinceRenewal, Effect.succeed(7)))
    yield* TestClock.adjust(0)
    yield* attention.look("tasks/task")
    yield* TestClock.adjust("1 second")
    yield* Fiber.interrupt(led)
    expect(told).toEqual([7])
  }))

it.effect("says its words on a wait again in its next lead, since another may have led and said others", () =>
  Effect.gen(function*() {
    const world = make(policy)
    const { task } = worldOf({ ...plainSeed, life: "queued", pool: true })
    world.setTask("tasks/task", Option.some(task))
    const told: Array<boolean> = []
    const reconcile = () =>
      Effect.sync(() => {
        told.push(Option.isSome(world.reportedWait(task.metadata.uid)))
        world.setReportedWait(task.metadata.uid, { reason: "ConcurrencyLimit", message: "Number 1 in the queue." })
        return Option.some(Duration.seconds(1))
      })
    const { lead } = leading({ world, reconcile })
    for (const _ of ["first", "second"]) {
      const led = yield* Effect.forkChild(lead)
      yield* TestClock.adjust("1500 millis")
      yield* Fiber.interrupt(led)
    }
    expect(told).toEqual([false, true, false, true])
  }))

describe("what lasts too long", () => {
  const start: Seed = { ...plainSeed, life: "starting", launches: 1, job: "active" }
  const denied = new WriteRefused({ kind: "Denied", message: "no", againInMillis: 10_000 })

  it.effect.each<{ readonly what: string; readonly seed: Seed; readonly reason: string }>([
    { what: "a start", seed: { ...start, pod: "Pending" }, reason: "StartupTimeout" },
    { what: "the end of a Job that was deleted", seed: { ...start, jobDeleting: true }, reason: "StartupTimeout" },
    { what: "a denial", seed: { ...plainSeed, life: "queued" }, reason: "Denied" }
  ])(
    "ends its task once the leads that saw $what are as long together, however long nobody led in between",
    ({ reason, seed }) =>
      Effect.gen(function*() {
        const world = make(policy)
        const { job, pod, task } = worldOf(seed)
        world.setTask("tasks/task", Option.some(task))
        world.setJob("tasks/job", Option.map(job, (seen) => ({ taskUid: task.metadata.uid, seen })))
        world.setPod("tasks/pod", Option.map(pod, (seen) => ({ taskUid: task.metadata.uid, seen })))
        let status = task.status
        const executor = Executor.of({
          say: heard,
          all: (_, actions) => actions.some(Action.$is("CreateJob")) ? Effect.fail(denied) : Effect.succeedNone,
          writeStatus: ({ metadata }, next) =>
            Effect.sync(() => {
              status = next
              const resourceVersion = String(Number(metadata.resourceVersion) + 1)
              world.setTask("tasks/task", Option.some({ ...task, metadata: { ...metadata, resourceVersion }, status }))
              return resourceVersion
            })
        })
        const { kubernetes, server } = instantCluster()
        if (Option.isSome(job)) plantJob(server, seed.jobDeleting ? { deletionTimestamp: noon, finalizers: ["foregroundDeletion"] } : {})
        if (Option.isSome(pod)) plantPod(server, { phase: "Pending" })
        const parts = Layer.mergeAll(Layer.succeed(Executor, executor), configuration, Layer.succeed(Kubernetes, kubernetes))
        const drained = yield* SubscriptionRef.make(false)
        const attention = makeAttention(world.cache)
        const lead = Effect.scoped(whileLeader({ world, config: configOf(), identity: "test", attention, drained })).pipe(
          Effect.provide(Layer.provideMerge(Reconciler.layer(world), parts))
        )
        const ends: Array<unknown> = []
        for (const seconds of [80, 80, 10, 20]) {
          const led = yield* Effect.forkChild(lead)
          yield* TestClock.adjust(Duration.seconds(seconds))
          yield* Fiber.interrupt(led)
          ends.push(status.phase === "Failed" ? status.reason : undefined)
          yield* TestClock.adjust(Duration.seconds(policy.startupTimeoutSeconds))
        }
        expect(ends).toEqual([undefined, undefined, undefined, reason])
      })
  )
})

const forbidden = new Forbidden({ verb: "update", object: "AgentTask", code: 403, reason: "Forbidden", detail: "no right" })

it.effect("looks at who was told to wait for a slot that is given back, though no event tells of that", () =>
  Effect.gen(function*() {
    const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
    const { task } = worldOf({ ...plainSeed, life: "queued" })
    const refusal = new WriteRefused({ kind: "Refused", message: "no", againInMillis: 10_000 })
    const asked: Array<string> = []
    const all: Executor["Service"]["all"] = ({ metadata: { name } }, actions) =>
      Effect.suspend(() =>
        actions.some(Action.$is("CreateJob")) && asked.push(name) > 0 && name === "first"
          ? Effect.andThen(Effect.sleep("1 second"), Effect.fail(refusal))
          : Effect.succeedNone
      )
    for (const name of ["first", "second"]) {
      world.setTask(`tasks/${name}`, Option.some({ ...task, metadata: { ...task.metadata, name, uid: Uid.make(name) } }))
    }
    // No write comes back as an event that would have a task looked at again.
    const executor = Executor.of({ say: heard, all, writeStatus: ({ metadata }) => Effect.succeed(metadata.resourceVersion) })
    const parts = Reconciler.layer(world).pipe(
      Layer.provide(Layer.succeed(Executor, executor)),
      Layer.provideMerge(configuration),
      Layer.provideMerge(Layer.mock(Kubernetes, { namespace: "tasks" }))
    )
    const attention = makeAttention(world.cache)
    yield* Effect.forkScoped(
      whileLeader({ world, config: configOf(), identity: "test", attention, drained: yield* SubscriptionRef.make(false) }).pipe(
        Effect.provide(parts)
      )
    )
    yield* TestClock.adjust("999 millis")
    expect(asked).toEqual(["first"])
    yield* TestClock.adjust("1 millis")
    expect(asked).toEqual(["first", "second"])
  }).pipe(Effect.scoped))

it.effect("says that nothing waits once all tasks were looked at, as the caches ask for now and then, or once it leads no more", () =>
  Effect.gen(function*() {
    const keys = Array.from({ length: 200 }, (_, index) => `tasks/${index}`)
    const { attention, lead } = leading({ reconcile: () => Effect.as(Effect.sleep("1 minute"), Option.none()) })
    const led = yield* Effect.forkChild(lead)
    const lookAtAll = Effect.forEach(keys, attention.look, { discard: true })
    yield* TestClock.adjust(0)
    yield* Effect.andThen(lookAtAll, TestClock.adjust("1 second"))
    expect(yield* gauge("agent_job_queue_depth")).toEqual({ value: 184 }) // 16 at once
    yield* TestClock.adjust("13 minutes")
    expect(yield* gauge("agent_job_queue_depth")).toEqual({ value: 0 })
    yield* Effect.andThen(lookAtAll, TestClock.adjust("1 second"))
    const end = yield* Effect.forkChild(Fiber.interrupt(led))
    yield* TestClock.adjust("20 seconds") // the passes are cut off
    yield* Fiber.join(end)
    expect(yield* gauge("agent_job_queue_depth")).toEqual({ value: 0 })
  }))

it.effect("says that the cluster is drained while it leads, and only then: whoever leads after it may know better", () =>
  Effect.gen(function*() {
    const drained = yield* SubscriptionRef.make(true)
    const { lead } = leading({ drained })
    for (const isDrained of [true, false]) {
      const led = yield* Effect.forkChild(lead)
      yield* TestClock.adjust(0)
      expect([yield* gauge("agent_job_leader"), yield* gauge("agent_job_draining")]).toEqual([{ value: 1 }, { value: 1 }])
      yield* SubscriptionRef.set(drained, isDrained)
      yield* TestClock.adjust(0)
      expect(yield* gauge("agent_job_draining")).toEqual({ value: Number(isDrained) })
      yield* Fiber.interrupt(led)
      expect(yield* gauge("agent_job_draining")).toEqual({ value: 0 })
    }
  }))

it.effect("says while it leads whether the isolation of tasks is proven, also where they do not wait for that", () =>
  Effect.gen(function*() {
    const world = make(policy)
    const { lead } = leading({ world })
    for (const isProven of [false, true]) {
      world.turns.setProven(!isProven)
      const led = yield* Effect.forkChild(lead)
      yield* TestClock.adjust(0)
      expect(yield* gauge("agent_job_isolation_proven")).toEqual({ value: Number(!isProven) })
      world.turns.setProven(isProven)
      yield* TestClock.adjust("30 seconds")
      expect(yield* gauge("agent_job_isolation_proven")).toEqual({ value: Number(isProven) })
      yield* Fiber.interrupt(led)
      expect(yield* gauge("agent_job_isolation_proven")).toEqual({ value: 0 })
    }
  }))

it.effect("counts the passes that fail, each of which is tried again, and no others", () =>
  Effect.gen(function*() {
    const outcomes = { "tasks/well": Effect.succeedNone, "tasks/refused": Effect.fail(forbidden), "tasks/broken": Effect.die("a defect") }
    const failures = Effect.map(
      Metric.snapshot,
      (all) =>
        all.flatMap((_) => _.type === "Counter" && _.id === "agent_job_reconcile_failed_total" ? [Number(_.state.count)] : [])[0] ?? 0
    )
    const before = yield* failures
    const passes: Record<string, number> = {}
    const reconcile = (key: string) =>
      Effect.suspend(() => {
        passes[key] = (passes[key] ?? 0) + 1
        return Object.entries(outcomes).find(([name]) => name === key)?.[1] ?? Effect.succeedNone
      })
    const { attention, lead } = leading({ reconcile })
    const led = yield* Effect.forkChild(lead)
    yield* TestClock.adjust(0)
    yield* Effect.forEach(Object.keys(outcomes), attention.look)
    yield* TestClock.adjust("30 minutes")
    expect(passes).toEqual({ "tasks/well": 1, "tasks/refused": 35, "tasks/broken": 35 })
    expect((yield* failures) - before).toBe(70)
    yield* Fiber.interrupt(led)
  }).pipe(Effect.provide(Logger.layer([]))))

it.effect("looks at a task again no sooner than an overloaded API server asks for", () =>
  Effect.gen(function*() {
    const at: Array<number> = []
    const overload = { verb: "get", object: "Lease", code: 429, reason: "TooManyRequests", detail: "" } as const
    const reconcile = () =>
      Effect.flatMap(monotonicMillis, (now) => {
        at.push(now)
        return Effect.fail(new TooManyRequests({ ...overload, retryAfter: Duration.minutes(1) }))
      })
    const { attention, lead } = leading({ reconcile })
    const led = yield* Effect.forkChild(lead)
    yield* TestClock.adjust(0)
    yield* attention.look("tasks/task")
    yield* TestClock.adjust("150 seconds")
    expect(at).toEqual([0, 60_000, 120_000])
    yield* Fiber.interrupt(led)
  }).pipe(Effect.provide(Logger.layer([]))))

it.effect("says how many tasks wait because nothing new starts, but leaves those of a pool that wait for a drain to it, which counts them", () =>
  Effect.gen(function*() {
    const world = make({ ...policy, requireProvenIsolation: true })
    const setTask = (name: string, { task }: ReturnType<typeof worldOf>) =>
      world.setTask(`tasks/${name}`, Option.some({ ...task, metadata: { ...task.metadata, name, uid: Uid.make(name) } }))
    for (const name of ["one", "two"]) setTask(name, worldOf({ ...plainSeed, life: "queued" }))
    setTask("of-a-pool", worldOf({ ...plainSeed, life: "queued", pool: true }))
    setTask("begun", worldOf({ ...plainSeed, life: "claimed" }))
    setTask("over", worldOf({ ...plainSeed, life: "succeeded" }))
    const led = yield* Effect.forkChild(leading({ world }).lead)
    const held = Effect.map(Metric.snapshot, (all) =>
      Object.fromEntries(
        all.filter(({ id }) => id === "agent_job_tasks_held_back").map(({ attributes, state }) => [attributes?.["reason"], state])
      ))
    yield* TestClock.adjust(0)
    expect(yield* held).toEqual({ Draining: { value: 0 }, IsolationUnproven: { value: 3 } })
    world.turns.setDrained(true)
    yield* TestClock.adjust("30 seconds")
    expect(yield* held).toEqual({ Draining: { value: 2 }, IsolationUnproven: { value: 0 } })
    yield* Fiber.interrupt(led)
    expect(yield* held).toEqual({ Draining: { value: 0 }, IsolationUnproven: { value: 0 } })
  }))

it.effect("takes work of the pool into the namespace of tasks, which need not be its own", () =>
  Effect.gen(function*() {
    const { kubernetes, server } = instantCluster()
    const config = configOf({ agent: { url: "http://pool", tokenExistingSecret: { name: "token" } }, task: { namespace: "their-tasks" } })
    const pool = offering([[assignment]], { acknowledge: () => Effect.void })
    const parts = Layer.mergeAll(
      Layer.succeed(Reconciler, Reconciler.of({ reconcile: () => Effect.succeedNone })),
      configuration,
      pool,
      Layer.succeed(Kubernetes, kubernetes)
    )
    const world = make(policy)
    const drained = yield* SubscriptionRef.make(false)
    const led = yield* Effect.forkChild(
      Effect.scoped(whileLeader({ world, config, identity: "test", attention: makeAttention(world.cache), drained })).pipe(
        Effect.provide(parts)
      )
    )
    yield* TestClock.adjust("1 second")
    expect([...server.all(agentTasks), ...server.all(secrets)].map(({ metadata }) => metadata.namespace)).toEqual([
      "their-tasks",
      "their-tasks"
    ])
    yield* Fiber.interrupt(led)
  }))

it.effect("says how many workspaces wait for a person after an apply without a pool, and once which, until its task is deleted", () => {
  const said = new Array<unknown>()
  return Effect.gen(function*() {
    const world = make(policy)
    const { task } = worldOf({ ...plainSeed, stage: "apply", life: "claimed" })
    const ended = (deletionTimestamp?: string) =>
      world.setTask(
        "tasks/task",
        Option.some({
          ...task,
          metadata: { ...task.metadata, ...(deletionTimestamp !== undefined && { deletionTimestamp }) },
          status: { ...task.status, phase: "Failed" }
        })
      )
    ended()
    const led = yield* Effect.forkChild(leading({ world }).lead)
    yield* TestClock.adjust(0)
    expect(yield* gauge("agent_job_tasks_in_doubt")).toEqual({ value: 1 })
    yield* TestClock.adjust("2 minutes")
    expect(said).toEqual([[expect.stringContaining("in doubt"), { tasks: ["tasks/task"] }]])
    ended(noon)
    yield* TestClock.adjust("30 seconds")
    expect(yield* gauge("agent_job_tasks_in_doubt")).toEqual({ value: 0 })
    ended()
    yield* TestClock.adjust("30 seconds")
    yield* Fiber.interrupt(led)
    expect(yield* gauge("agent_job_tasks_in_doubt")).toEqual({ value: 0 })
  }).pipe(Effect.provide(Logger.layer([Logger.make(({ logLevel, message }) => logLevel === "Warn" && said.push(message))])))
})

it("a drain is answered only when no request of a former leader can be under way", () => {
  expect(formerLeadMillis).toBeGreaterThan(Duration.toMillis(Duration.sum(drainLimit, callTimeout)))
  expect(formerLeadMillis).toBeGreaterThanOrEqual(launchLimitMillis + Duration.toMillis(callTimeout))
})
