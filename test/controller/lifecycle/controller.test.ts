// New values in a running controller, what its Lease says meanwhile, and what a controller says that has not led yet.
import { assert, expect, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Fiber, Layer, Logger, Option, Ref, Schedule, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { setImmediate as turn } from "node:timers/promises"
import { Configuration } from "../../../src/controller/configuration/configuration.ts"
import { makeAttention } from "../../../src/controller/lifecycle/attention.ts"
import { answerAnnotations, controller, run, takeOver } from "../../../src/controller/lifecycle/controller.ts"
import { Executor } from "../../../src/controller/reconcile/execute.ts"
import { Reconciler } from "../../../src/controller/reconcile/reconcile.ts"
import { make, type World } from "../../../src/controller/world/world.ts"
import * as draining from "../../../src/core/scheduling/draining.ts"
import { proven } from "../../../src/core/scheduling/isolation.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { Unreachable } from "../../../src/kubernetes/errors.ts"
import { agentTasks } from "../../../src/kubernetes/kinds.ts"
import type { WatchEvent } from "../../../src/kubernetes/object.ts"
import { Uid } from "../../../src/schema/names.ts"
import { configOf } from "../../core/configs.ts"
import { noon, plainSeed, policy, worldOf } from "../../core/worlds.ts"
import { freePort } from "../../free-port.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { instantCluster } from "../instant-cluster.ts"

const valuesOf = ({ total = 2, ...values }: { readonly restrictMetadataService?: boolean; readonly total?: number }) =>
  configOf({ ...values, task: { requireProvenIsolation: true, limits: { total } } })

const unchanging = Configuration.of({ current: Effect.succeed(configOf()), changes: Stream.never, outdated: Effect.never })

it.effect("a proof of isolation holds for no new values but those that it is of, from the step on that takes them over", () =>
  Effect.gen(function*() {
    const before = valuesOf({ restrictMetadataService: true })
    const world = make(before.policy)
    const { task } = worldOf(plainSeed)
    world.setTask("tasks/task", Option.some(task))
    const running = worldOf({ ...plainSeed, life: "claimed" }).task
    world.setTask(
      "tasks/running",
      Option.some({ ...running, metadata: { ...running.metadata, name: "running", uid: Uid.make("running") } })
    )
    const looked: Array<unknown> = []
    const attention = makeAttention(world.cache)
    yield* attention.attach((key) => Effect.sync(() => void looked.push([key, world.turns.of(task)._tag])))
    const annotationsSeen = yield* Ref.make<Readonly<Record<string, string>>>({})
    const answer = answerAnnotations({
      current: Effect.succeed(before),
      drained: yield* SubscriptionRef.make(false),
      annotationsSeen,
      attention,
      world
    })
    yield* takeOver(before, { annotationsSeen, attention, world }) // at the start, the Lease is not known yet
    yield* answer(proven({}, before, noon), false)
    yield* takeOver(valuesOf({ restrictMetadataService: false }), { annotationsSeen, attention, world })
    yield* takeOver(before, { annotationsSeen, attention, world })
    yield* takeOver(valuesOf({ restrictMetadataService: true, total: 1 }), { annotationsSeen, attention, world }) // which the other task has
    const turns = ["Waiting", "Admitted", "Waiting", "Admitted", "Waiting"]
    expect(looked).toEqual(turns.flatMap((turn) => [["tasks/task", turn], ["tasks/running", turn]]))
  }))

it.effect("logs when there is a proof of isolation, and when there is none any more, where nothing starts without one", () =>
  Effect.gen(function*() {
    const lines = Effect.fnUntraced(function*(requireProvenIsolation: boolean) {
      const of = (restrictMetadataService: boolean) => configOf({ restrictMetadataService, task: { requireProvenIsolation } })
      const logged: Array<unknown> = []
      const logger = Logger.layer([Logger.make(({ message }) => void logged.push(...Array.isArray(message) ? message : [message]))])
      const world = make(of(true).policy)
      const attention = makeAttention(world.cache)
      const annotationsSeen = yield* Ref.make<Readonly<Record<string, string>>>({})
      const drained = yield* SubscriptionRef.make(false)
      const answer = answerAnnotations({ current: Effect.succeed(of(true)), drained, annotationsSeen, attention, world })
      const proof = proven({}, of(true), noon)
      yield* Effect.provide(
        Effect.gen(function*() {
          for (const annotations of [{}, proof, proof, {}, proof]) yield* answer(annotations, false)
          for (const isRestricted of [false, false, true]) yield* takeOver(of(isRestricted), { annotationsSeen, attention, world })
        }),
        logger
      )
      return logged
    })
    const [isProven, isNot] = ["the isolation of tasks is proven", "the isolation of tasks is not proven any more: nothing new starts"]
    expect(yield* lines(true)).toEqual([isProven, isNot, isProven, isNot, isProven])
    expect(yield* lines(false)).toEqual([])
  }))

/** What answers the Lease of a controller for this world, and what a drain changes. */
const answering = Effect.fnUntraced(function*(world: World) {
  const drained = yield* SubscriptionRef.make(false)
  const attention = makeAttention(world.cache)
  const annotationsSeen = yield* Ref.make<Readonly<Record<string, string>>>({})
  return {
    answer: answerAnnotations({ world, attention, drained, annotationsSeen, current: Effect.succeed(configOf()) }),
    attention,
    drained
  }
})

it.effect("answers a drain when no pass can make a Job any more, also one that had no answer", () =>
  Effect.gen(function*() {
    const world = make(policy)
    world.setTask("tasks/task", Option.some(worldOf(plainSeed).task))
    const { answer } = yield* answering(world)
    const asked = draining.withDrainAsked({}, noon)
    const silence = new Unreachable({ verb: "create", object: "Job tasks/agent-job-task", detail: "no answer in 30s" })
    const made: Array<unknown> = []
    const all: Executor["Service"]["all"] = (_, actions) =>
      actions.length === 0 ? Effect.succeedNone : Effect.flatMap(answer(asked, false), (during) => {
        made.push(...actions, draining.isAnswered(during))
        return Effect.fail(silence)
      })
    const executor = Executor.of({ say: () => Effect.succeed(true), writeStatus: () => Effect.succeed("2"), all })
    const reconciler = Reconciler.layer(world).pipe(
      Layer.provide(Layer.succeed(Executor, executor)),
      Layer.provide(Layer.succeed(Configuration, unchanging)),
      Layer.provide(Layer.succeed(Kubernetes, instantCluster().kubernetes))
    )
    const { reconcile } = Context.get(yield* Layer.build(reconciler), Reconciler)
    expect(yield* Effect.flip(reconcile("tasks/task"))).toBe(silence)
    expect(made).toMatchObject([{ _tag: "CreateJob" }, false])
    expect(draining.isAnswered(yield* answer(asked, false))).toBe(true)
    yield* reconcile("tasks/task")
    expect(made).toHaveLength(2) // nothing else was made
  }).pipe(Effect.scoped))

it.effect("answers no drain as long as a leader that fell silent may still make a Job", () =>
  Effect.gen(function*() {
    const { answer } = yield* answering(make(policy))
    const asked = draining.withDrainAsked({}, noon)
    const while_ = (formerAtWork: boolean) => Effect.map(answer(asked, formerAtWork), draining.isAnswered)
    expect([yield* while_(true), yield* while_(false)]).toEqual([false, true])
  }))

it.effect("takes a drain over in full, even if the renewal that told of it runs out of time meanwhile", () =>
  Effect.gen(function*() {
    const world = make(policy)
    const { task } = worldOf(plainSeed)
    for (const name of ["first", "second"]) {
      world.setTask(`tasks/${name}`, Option.some({ ...task, metadata: { ...task.metadata, name, uid: Uid.make(name) } }))
    }
    const looked: Array<string> = []
    const { answer, attention, drained } = yield* answering(world)
    yield* attention.attach((key) =>
      Effect.withFiber((renewal) => {
        looked.push(key)
        renewal.interruptUnsafe()
        return Effect.void
      })
    )
    yield* Effect.forkChild(answer(draining.withDrainAsked({}, noon), false)).pipe(Effect.flatMap(Fiber.await))
    expect(looked).toEqual(["tasks/first", "tasks/second"])
    expect(yield* SubscriptionRef.get(drained)).toBe(true)
  }))

it.effect.each([
  { what: "what looks at all tasks again", stage: "plan", takes: 1 },
  { what: "what tells of a task that is not understood", stage: "refresh", takes: Infinity }
])(
  "ends with a bug in $what, also while it waits for the lead, and does not go on without that",
  ({ stage, takes }) =>
    Effect.gen(function*() {
      const { metadata: { ownerReferences: _, ...metadata }, spec, status } = worldOf(plainSeed).task
      const task: WatchEvent = { type: "ADDED", object: { metadata, spec: { ...spec, stage }, status } }
      const whole: WatchEvent = { type: "BOOKMARK", resourceVersion: "9", whole: true }
      const kubernetes = Layer.mock(Kubernetes, {
        namespace: "tasks",
        create: () => assert.fail("a bug"),
        get: () => Effect.never, // the Lease
        watch: ({ plural }) => Stream.concat(Stream.make(...plural === agentTasks.plural ? [task, whole] : [whole]), Stream.never)
      })
      const world = make(policy)
      let taken = 0
      const buggy: World = { ...world, setTask: (...given) => ++taken > takes ? assert.fail("a bug") : world.setTask(...given) }
      const running = yield* run({ healthPort: 0, identity: "test" }, configOf(), buggy).pipe(
        Effect.scoped,
        Effect.provide(Layer.mergeAll(kubernetes, Layer.succeed(Configuration, unchanging), Layer.mock(Executor, {}))),
        Effect.forkChild
      )
      yield* Effect.promise(() => turn()).pipe( // its health port is open by and by
        Effect.andThen(TestClock.adjust("1 minute")),
        Effect.repeat({ times: 500, until: () => running.pollUnsafe() !== undefined })
      )
      expect(String(running.pollUnsafe())).toContain("a bug")
    })
)

it.live("a controller that has never led says so, since without it nobody is told that none leads beside another installation", () =>
  Effect.gen(function*() {
    const directory = yield* temporaryFolder("controller")
    const values = join(directory, "values.yaml")
    writeFileSync(values, "{}")
    const kubeconfig = join(directory, "kubeconfig")
    const named = (kind: string, what: object) => [{ name: "away", [kind]: what }]
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        clusters: named("cluster", { server: `http://127.0.0.1:${yield* freePort}` }),
        users: named("user", {}),
        contexts: named("context", { cluster: "away", user: "away" }),
        "current-context": "away"
      })
    )
    const healthPort = yield* freePort
    yield* controller({ values, name: "agent-job", namespace: "tasks", healthPort, identity: "test", poolTokenFile: "/none" }).pipe(
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ KUBECONFIG: kubeconfig }))),
      Effect.forkScoped
    )
    const metrics = yield* Effect.tryPromise(async () => (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text()).pipe(
      Effect.retry(Schedule.spaced("50 millis")),
      Effect.timeout("5 minutes")
    )
    expect(metrics).toMatch(/^agent_job_leader 0$/mu)
    const ready = yield* Effect.promise(async () => (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).text())
    expect(ready).toBe("waits for the first list of tasks, Jobs and Pods") // the API server is away
  }).pipe(Effect.scoped))
