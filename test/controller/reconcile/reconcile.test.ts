// One pass over a task: what it takes when it decides, and answers of the API server that come too late for the decision.
import { describe, expect, it } from "@effect/vitest"
import { Context, Duration, Effect, Equal, Fiber, Layer, Logger, Metric, Option, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Configuration } from "../../../src/controller/configuration/configuration.ts"
import { Pool, PoolRefused, PoolUnreachable } from "../../../src/controller/pool/pool.ts"
import { Behind } from "../../../src/controller/reconcile/behind.ts"
import { Executor } from "../../../src/controller/reconcile/execute.ts"
import { Reconciler } from "../../../src/controller/reconcile/reconcile.ts"
import { Unsure, WriteRefused } from "../../../src/controller/reconcile/refusals.ts"
import { projectTask } from "../../../src/controller/world/project.ts"
import { make, type World } from "../../../src/controller/world/world.ts"
import { ownerReference } from "../../../src/core/manifest/owner-reference.ts"
import { Action, Notice } from "../../../src/core/reconcile/action.ts"
import { leaseName } from "../../../src/core/scheduling/workspace-lease.ts"
import type { Observed } from "../../../src/core/task/observed.ts"
import { finished } from "../../../src/core/task/status.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { Conflict, Forbidden, NotFound, Rejected, Unreachable } from "../../../src/kubernetes/errors.ts"
import { agentTasks, events, jobs, leases } from "../../../src/kubernetes/kinds.ts"
import { keyOf } from "../../../src/kubernetes/object.ts"
import { makeBackoff } from "../../../src/queue/backoff.ts"
import * as KeyedQueue from "../../../src/queue/keyed-queue.ts"
import { Uid, WorkspaceName } from "../../../src/schema/names.ts"
import type { AgentTask, AgentTaskStatus, Stage } from "../../../src/schema/task/agent-task.ts"
import { configOf } from "../../core/configs.ts"
import { before, noon, plainSeed, policy, type Seed, success, worldOf } from "../../core/worlds.ts"
import { instantCluster } from "../instant-cluster.ts"
import { plantJob, plantPod, plantSource } from "./planted.ts"

const configuration = (values: object) =>
  Layer.succeed(
    Configuration,
    Configuration.of({ current: Effect.succeed(configOf(values)), changes: Stream.never, outdated: Effect.never })
  )

/** An executor that carries out actions with `all`. It accepts every notice, and a status that it writes gets the resource version 2. */
const carriesOut = (parts: Pick<Executor["Service"], "all"> & Partial<Executor["Service"]>) =>
  Layer.succeed(Executor, Executor.of({ say: () => Effect.succeed(true), writeStatus: () => Effect.succeed("2"), ...parts }))
/** The product's own executor. */
const writes = Executor.layer("test")

interface Around {
  readonly world: World
  readonly executor: Layer.Layer<Executor, never, Kubernetes>
  readonly kubernetes?: Kubernetes["Service"]
  readonly pool?: Layer.Layer<never>
  readonly values?: object
}

/** Returns the function that makes a pass over a task of a world. */
const reconcilerOf = Effect.fnUntraced(
  function*({ executor, kubernetes = instantCluster().kubernetes, pool = Layer.empty, values = {}, world }: Around) {
    const around = Layer.mergeAll(pool, configuration(values), Layer.succeed(Kubernetes, kubernetes))
    const parts = yield* Layer.build(Reconciler.layer(world).pipe(Layer.provide(executor), Layer.provide(around)))
    return Context.get(parts, Reconciler).reconcile
  }
)

/** Returns a world that has this task and nothing else. */
const holding = (task: AgentTask): World => {
  const world = make(policy)
  world.setTask("tasks/task", Option.some(task))
  return world
}

/** Makes passes over one task as the queue does. Each status that is written comes back as an event. */
const driven = Effect.fnUntraced(function*(all: Executor["Service"]["all"], { kubernetes, server } = instantCluster(), seed = plainSeed) {
  const world = make(policy)
  /** Returns the task as the API server has it from now on. */
  const stored = (task: AgentTask): AgentTask => {
    const { name, namespace, uid } = task.metadata
    server.plant(agentTasks, { metadata: { name, namespace, uid, resourceVersion: "" } })
    return { ...task, metadata: { ...task.metadata, resourceVersion: String(server.revision) } }
  }
  const task = stored(worldOf(seed).task)
  const written: Array<AgentTaskStatus> = []
  const back = yield* Queue.unbounded<AgentTask>()
  const executor = carriesOut({
    all,
    writeStatus: ({ metadata }, status) =>
      Effect.suspend(() => {
        written.push(status)
        const after = stored({ ...task, metadata, status })
        return Effect.as(Queue.offer(back, after), after.metadata.resourceVersion)
      })
  })
  const reconcile = yield* reconcilerOf({ world, executor, kubernetes })
  const { add } = yield* KeyedQueue.make({
    concurrency: 1,
    work: reconcile,
    backoff: makeBackoff(Duration.seconds(1), Duration.minutes(5))
  })
  const look = Effect.andThen(add("tasks/task"), TestClock.adjust(0))
  const event = (task: AgentTask) => Effect.andThen(Effect.sync(() => world.setTask("tasks/task", Option.some(task))), add("tasks/task"))
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(back), event)))
  yield* event(task)
  yield* look
  return { look, world, written }
})

/** Keeps what is logged, and returns it so far. */
const logged = () => {
  const said: Array<unknown> = []
  return { said, logger: Logger.layer([Logger.make(({ message }) => said.push(message))]) }
}

describe("a burst of starts that say nothing", () => {
  it.effect("costs the API server one read of events each time that all are looked at, and a status that says it once", () =>
    Effect.gen(function*() {
      const world = make(policy)
      const { kubernetes, server } = instantCluster()
      const { job, pod, task } = worldOf({ ...plainSeed, life: "starting", launches: 1, job: "active", pod: "Pending" })
      const burst = Array.from({ length: 200 }, (_, index) => `task-${index}`)
      const setTask = (name: string, status: AgentTaskStatus, resourceVersion: string) =>
        world.setTask(
          `tasks/${name}`,
          Option.some({ ...task, metadata: { ...task.metadata, name, uid: Uid.make(name), resourceVersion }, status })
        )
      const warn = (attempt: number) => {
        for (const name of burst) {
          server.plant(events, {
            metadata: { name, namespace: "tasks", uid: name, resourceVersion: "" },
            regarding: { uid: `pod-of-${name}` },
            type: "Warning",
            reason: "FailedCreatePodSandBox",
            note: `no network for sandbox "${String(attempt).repeat(64)}"`,
            deprecatedLastTimestamp: before(100 - attempt)
          })
        }
      }
      for (const name of burst) {
        setTask(name, task.status, "1")
        world.setJob(`tasks/job-of-${name}`, Option.map(job, (seen) => ({ taskUid: name, seen })))
        world.setPod(
          `tasks/pod-of-${name}`,
          Option.map(pod, (seen) => ({ taskUid: name, seen: { ...seen, uid: Uid.make(`pod-of-${name}`) } }))
        )
      }
      let [reads, writes] = [0, 0]
      const list: typeof kubernetes.list = (...of) => Effect.andThen(Effect.sync(() => void reads++), kubernetes.list(...of))
      const executor = carriesOut({
        all: () => Effect.succeedNone,
        writeStatus: ({ metadata: { name } }, status) =>
          Effect.sync(() => {
            writes++
            setTask(name, status, "2")
            return "2"
          })
      })
      const reconcile = yield* reconcilerOf({ world, executor, kubernetes: { ...kubernetes, list } })
      yield* TestClock.setTime(Date.parse(noon))
      const counts: Array<readonly [number, number]> = []
      for (const attempt of [0, 1, 2, 3]) {
        warn(attempt)
        yield* Effect.forEach(burst, (name) => reconcile(`tasks/${name}`), { concurrency: 16 })
        counts.push([reads, writes])
        yield* TestClock.adjust("10 seconds")
      }
      expect(counts).toEqual([[0, 200], [1, 400], [2, 400], [3, 400]]) // first that the Job is made, then why its Pod does not start
    }).pipe(Effect.scoped))
})

describe("a pass that decides", () => {
  it.effect("keeps the slot while nobody has answered whether its Job was made", () =>
    Effect.gen(function*() {
      const { task } = worldOf(plainSeed)
      const world = holding(task)
      const silence = new Unreachable({ verb: "create", object: "Job tasks/agent-job-task", detail: "no answer in 30s" })
      const reconcile = yield* reconcilerOf({ world, executor: carriesOut({ all: () => Effect.fail(silence) }) })
      expect(yield* Effect.flip(reconcile("tasks/task"))).toBe(silence)
      expect([world.turns.isReserved(task.metadata.uid), world.turns.launching()]).toEqual([true, false])
    }).pipe(Effect.scoped))

  it.effect("keeps the slot of a Job that was made, also where the status changed meanwhile, before any watch tells of the Job", () =>
    Effect.gen(function*() {
      const { job, task } = worldOf({ ...plainSeed, life: "queued", job: "active" })
      const world = holding(task)
      const conflict = new Conflict({ verb: "update the status of", object: "AgentTask", code: 409, reason: "Conflict", detail: "" })
      const executor = carriesOut({ all: () => Effect.succeed(job), writeStatus: () => Effect.fail(conflict) })
      const reconcile = yield* reconcilerOf({ world, executor })
      expect(yield* reconcile("tasks/task")).toEqual(Option.some(Duration.millis(200)))
      expect(world.turns.isReserved(task.metadata.uid)).toBe(true)
    }).pipe(Effect.scoped))

  it.effect("takes the slot in the step that decides, before anybody has seen the Job", () =>
    Effect.gen(function*() {
      const world = make({ ...policy, limits: { total: 1, perWorkspace: 1 } })
      const { task } = worldOf(plainSeed)
      const started: Array<string> = []
      const all: Executor["Service"]["all"] = (task, actions) =>
        Effect.sync(() => {
          started.push(...actions.filter(Action.$is("CreateJob")).map(() => task.metadata.name))
          return Option.none()
        })
      const executor = carriesOut({ all })
      const reconcile = yield* reconcilerOf({ world, executor })
      // The older task is looked at second, and would have gone first if both had been known.
      for (const [name, creationTimestamp] of [["one", before(60)], ["two", before(600)]] as const) {
        world.setTask(
          `tasks/${name}`,
          Option.some({ ...task, metadata: { ...task.metadata, name, uid: Uid.make(name), creationTimestamp } })
        )
        yield* reconcile(`tasks/${name}`)
      }
      expect(started).toEqual(["one"])
    }).pipe(Effect.scoped))

  it.effect.each(
    [
      { given: "its Job is gone", live: "nothing", deleted: 0 },
      { given: "its Job has a Pod again", live: "a Pod", deleted: 0 },
      { given: "it is as they say", live: "the Job", deleted: 1 }
    ] as const
  )("clears no launch away by what its caches have, whose watches may stand still: $given", ({ deleted, live }) =>
    Effect.gen(function*() {
      const { job, task } = worldOf({ ...plainSeed, life: "evicted", job: "active", jobAgeSeconds: 10 })
      const { uid } = task.metadata
      const world = holding(task)
      world.setJob("tasks/agent-job-task", Option.map(job, (seen) => ({ taskUid: uid, seen })))
      const { kubernetes, server } = instantCluster()
      if (live !== "nothing") plantJob(server)
      if (live === "a Pod") plantPod(server, { phase: "Pending" })
      const deletions: Array<Action> = []
      const all: Executor["Service"]["all"] = (_, actions) =>
        Effect.sync(() => {
          deletions.push(...actions.filter(Action.$is("DeleteJob")))
          return Option.none()
        })
      const executor = carriesOut({ all })
      const reconcile = yield* reconcilerOf({ world, executor, kubernetes })
      yield* TestClock.setTime(Date.parse(noon))
      yield* reconcile("tasks/task") // the age of the Job counts from here
      yield* TestClock.adjust("10 seconds")
      yield* reconcile("tasks/task")
      expect(deletions).toHaveLength(deleted)
    }).pipe(Effect.scoped))

  it.effect("looks again at a launch whose Job changes while it is cleared away, and clears it away as it is then", () =>
    Effect.gen(function*() {
      const { job, task } = worldOf({ ...plainSeed, life: "evicted", job: "failed", jobAgeSeconds: 10 })
      const { metadata: { name, namespace, uid }, spec, status } = task
      const world = holding(task)
      world.setJob("tasks/agent-job-task", Option.map(job, (seen) => ({ taskUid: uid, seen })))
      const { kubernetes, server } = instantCluster()
      const failed = (message: string) =>
        plantJob(server, {}, { conditions: [{ type: "Failed", status: "True", reason: "PodFailurePolicy", message }] })
      server.plant(agentTasks, { metadata: { name, namespace, uid, resourceVersion: "", creationTimestamp: noon }, spec, status })
      failed("as it was heard of")
      let tries = 0
      const late: Kubernetes["Service"]["delete"] = (...request) => {
        if (++tries === 1) failed("as it is since")
        return kubernetes.delete(...request)
      }
      const reconcile = yield* reconcilerOf({ world, executor: writes, kubernetes: { ...kubernetes, delete: late } })
      yield* TestClock.setTime(Date.parse(noon))
      yield* reconcile("tasks/task") // the age of the Job counts from here
      yield* TestClock.adjust("10 seconds")
      expect(yield* reconcile("tasks/task")).toEqual(Option.some(Duration.millis(200)))
      expect(server.all(jobs)).toHaveLength(1)
      yield* reconcile("tasks/task")
      expect([tries, server.all(jobs)]).toEqual([2, []])
    }).pipe(Effect.scoped))

  it.effect.each(
    [
      {
        given: "that waited for its turn",
        life: "queued",
        goes: false,
        written: [{ launches: 1, job: { name: "agent-job-task", uid: "job-uid" } }]
      },
      {
        given: "whose Job is heard to be gone before the answer that it was made",
        life: "queued",
        goes: true,
        written: [{ launches: 1, job: { name: "agent-job-task", uid: "job-uid" } }]
      },
      { given: "that starts at once, to which no word is said", life: "new", goes: false, written: [] }
    ] as const
  )("counts the Job that it made by its UID, of a task $given", ({ goes, life, written }) =>
    Effect.gen(function*() {
      const { task } = worldOf({ ...plainSeed, life })
      const world = holding(task)
      const statuses: Array<AgentTaskStatus> = []
      const made = Option.getOrThrow(worldOf({ ...plainSeed, job: "active" }).job)
      const executor = carriesOut({
        all: () =>
          Effect.sync(() => {
            if (goes) {
              for (const seen of [Option.some(made), Option.none()]) {
                world.setJob("tasks/agent-job-task", Option.map(seen, (seen) => ({ taskUid: task.metadata.uid, seen })))
              }
            }
            return Option.some(made)
          }),
        writeStatus: (_, status) => Effect.sync(() => String(statuses.push(status) + 1))
      })
      const reconcile = yield* reconcilerOf({ world, executor })
      yield* reconcile("tasks/task")
      expect(statuses).toMatchObject(written)
      expect(world.turns.isReserved(task.metadata.uid)).toBe(!goes) // until a watch tells of it
    }).pipe(Effect.scoped))

  it.effect.each(["looked up", "refused"] as const)(
    "does nothing for a task that went while it was %s, and keeps nothing of it",
    (while_) =>
      Effect.gen(function*() {
        const world = make(policy)
        const { task } = worldOf({ ...plainSeed, stage: "apply" })
        const { uid } = task.metadata
        const goes = Effect.sync(() => world.setTask("tasks/task", Option.none()))
        const { kubernetes } = instantCluster()
        const cluster: Kubernetes["Service"] = while_ === "looked up"
          ? { ...kubernetes, get: (...of) => Effect.andThen(goes, kubernetes.get(...of)) }
          : kubernetes
        let tries = 0
        const all: Executor["Service"]["all"] = () =>
          Effect.suspend(() => {
            tries++
            return Effect.andThen(goes, Effect.fail(new WriteRefused({ kind: "Refused", message: "no", againInMillis: 10_000 })))
          })
        const executor = carriesOut({ all })
        const reconcile = yield* reconcilerOf({ world, executor, kubernetes: cluster })
        world.setTask("tasks/task", Option.some(task))
        expect(yield* reconcile("tasks/task")).toEqual(Option.none())
        expect([tries, world.refusals.isRefused(uid), world.turns.isReserved(uid), world.turns.launching()]).toEqual([
          while_ === "refused" ? 1 : 0,
          false,
          false,
          false
        ])
      }).pipe(Effect.scoped)
  )

  it.effect("lets the apply that holds the workspace start, though it has no Job and an older one waits, each of which would wait for the other", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = instantCluster()
      const world = make(policy)
      const reconcile = yield* reconcilerOf({ world, executor: writes, kubernetes })
      const { task } = worldOf({ ...plainSeed, stage: "apply" })
      server.create(leases, {
        metadata: { name: leaseName("demo"), namespace: "tasks" },
        spec: { holderIdentity: "holder", leaseTransitions: 1 }
      })
      for (const [name, creationTimestamp] of [["older", before(600)], ["holder", before(60)]] as const) {
        server.plant(agentTasks, { ...task, metadata: { name, namespace: "tasks", uid: name, resourceVersion: "", creationTimestamp } })
        world.setTask(
          `tasks/${name}`,
          Option.some({
            ...task,
            metadata: { ...task.metadata, name, uid: Uid.make(name), creationTimestamp, resourceVersion: String(server.revision) }
          })
        )
      }
      for (const name of ["holder", "older", "holder"]) yield* reconcile(`tasks/${name}`)
      expect(server.all(jobs).map(({ metadata }) => metadata.name)).toEqual(["agent-job-holder"])
      expect(server.all(agentTasks).find(({ metadata }) => metadata.name === "older")).toMatchObject({
        status: { reason: "WorkspaceBusy", message: "Waiting for holder, which goes before it in workspace demo." }
      })
    }).pipe(Effect.scoped))
})

describe("as many tasks as may run, whose look at their workspace the API server refuses each time", () => {
  const inWorkspace = (name: string, stage: Stage, at: string): AgentTask => {
    const { task } = worldOf({ ...plainSeed, stage })
    return {
      metadata: { ...task.metadata, name, uid: Uid.make(name), creationTimestamp: at },
      spec: { ...task.spec, workspace: WorkspaceName.make(name) },
      status: {}
    }
  }
  const refused = ["refused-1", "refused-2"]
  const started = Effect.gen(function*() {
    const { kubernetes, server } = instantCluster()
    const get: typeof kubernetes.get = (kind, of) =>
      refused.some((name) => of.name === leaseName(name))
        ? Effect.fail(new Rejected({ verb: "get", object: "the Lease", code: 400, reason: "BadRequest", detail: "unreadable" }))
        : kubernetes.get(kind, of)
    const world = make({ ...policy, limits: { total: refused.length, perWorkspace: 5 } })
    const reconcile = yield* reconcilerOf({ world, executor: writes, kubernetes: { ...kubernetes, get } })
    const put = ({ metadata: { creationTimestamp, name, namespace, uid }, ...rest }: AgentTask) => {
      server.plant(agentTasks, { ...rest, metadata: { name, namespace, uid, resourceVersion: "", creationTimestamp } })
      hear()
    }
    /** Has the world hear of the tasks as they are, and returns what their statuses say. */
    const hear = () =>
      server.all(agentTasks).map(projectTask).map((task) => {
        world.setTask(keyOf(task.metadata), Option.some(task))
        return task.status
      })
    for (const [index, name] of refused.entries()) put(inWorkspace(name, "apply", before(600 - index)))
    put(inWorkspace("innocent", "plan", before(60)))
    /** Makes a pass over each task, and returns what the statuses of those that are refused say then. */
    const pass = Effect.forEach([...refused, "innocent"], (name) => Effect.andThen(reconcile(`tasks/${name}`), Effect.sync(hear))).pipe(
      Effect.map((said) => said.at(-1)?.slice(0, refused.length) ?? [])
    )
    return { pass, server }
  })

  it.effect("delay no other task, and say what is refused", () =>
    Effect.gen(function*() {
      const { pass, server } = yield* started
      const said = yield* pass
      expect(server.all(jobs).map(({ metadata }) => metadata.name)).toEqual(["agent-job-innocent"])
      const tells = { phase: "Queued", reason: "Refused", message: expect.stringContaining("Cannot get the Lease: ") }
      expect(said).toMatchObject(refused.map(() => tells))
    }).pipe(Effect.scoped))

  it.effect("end once that has lasted for as long as a start may take", () =>
    Effect.gen(function*() {
      const { pass } = yield* started
      const rounds = policy.startupTimeoutSeconds / 10
      const said = yield* Effect.forEach(Array.from({ length: rounds + 1 }), () => Effect.tap(pass, TestClock.adjust("10 seconds")))
      expect(said.at(-2)).toMatchObject(refused.map(() => ({ phase: "Queued" })))
      expect(said.at(-1)).toMatchObject(refused.map(() => ({ phase: "Failed", reason: "Denied" })))
    }).pipe(Effect.scoped))
})

describe("a task of which the API server lets no pass come to its end", () => {
  it.effect.each(
    [
      { what: "the Pod of its stage may not be read", verb: "get", object: "Pod tasks/pod", seed: { life: "claimed" } },
      { what: "the Job of its launch may not be read", verb: "get", object: "Job tasks/agent-job-task", seed: { life: "starting" } },
      { what: "its status may not be written", verb: "update the status of", object: "AgentTask tasks/task", seed: { life: "claimed" } }
    ] as const
  )("has an event when $what, one in 50 minutes until a pass comes to its end", ({ object, seed, verb }) =>
    Effect.gen(function*() {
      let mayDo = false
      const unless = <A, E, R>(refused: boolean, effect: Effect.Effect<A, E, R>) =>
        Effect.suspend((): Effect.Effect<A, E | Forbidden, R> =>
          refused && !mayDo ? Effect.fail(new Forbidden({ verb, object, code: 403, reason: "Forbidden", detail: "it may not" })) : effect
        )
      const { kubernetes } = instantCluster()
      const { task } = worldOf({ ...plainSeed, ...seed })
      const said: Array<Notice> = []
      const executor = carriesOut({
        all: () => Effect.succeedNone,
        say: (_, notice) => Effect.sync(() => said.push(notice) > 0),
        writeStatus: ({ metadata }) => unless(verb !== "get", Effect.succeed(metadata.resourceVersion))
      })
      const get: typeof kubernetes.get = (kind, named) =>
        unless(verb === "get" && object === `${kind.kind} ${keyOf(named)}`, kubernetes.get(kind, named))
      const reconcile = yield* reconcilerOf({ world: holding(task), executor, kubernetes: { ...kubernetes, get } })
      const told = Notice.Emit({
        type: "Warning",
        reason: "Refused",
        message:
          `Cannot ${verb} ${object}: it may not; grant it to this identity (Role and RoleBinding), or ask who set the policy. Until then, the controller does nothing for this task.`
      })
      const ofRefusals = () => said.filter((notice) => Equal.equals(notice, told)).length
      for (const _ of [1, 2]) expect(yield* Effect.flip(reconcile("tasks/task"))).toMatchObject({ _tag: "Forbidden" }) // counted, and tried again
      expect(ofRefusals()).toBe(1)
      yield* TestClock.adjust("50 minutes") // soon the API server forgets the event
      for (const _ of [1, 2]) yield* Effect.flip(reconcile("tasks/task"))
      expect(ofRefusals()).toBe(2)
      mayDo = true
      yield* reconcile("tasks/task")
      mayDo = false
      yield* Effect.flip(reconcile("tasks/task"))
      expect(ofRefusals()).toBe(3)
    }).pipe(Effect.scoped))

  it.effect("has one event, and not one at each try, when the values do not name the pool that is to hear how it ended", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = instantCluster()
      const created: Array<string> = []
      const create: typeof kubernetes.create = (kind, object) => (created.push(kind.kind), kubernetes.create(kind, object))
      const world = holding(worldOf({ ...plainSeed, life: "failed", pool: true }).task)
      const reconcile = yield* reconcilerOf({ world, executor: writes, kubernetes: { ...kubernetes, create } })
      for (const _ of [1, 2]) expect(yield* Effect.flip(reconcile("tasks/task"))).toMatchObject({ _tag: "PoolMissing" })
      expect(created).toEqual(["Event"])
      expect(server.all(events)).toMatchObject([
        { type: "Warning", reason: "PoolUnreachable", note: expect.stringMatching(/^The values name no pool, /u) }
      ])
    }).pipe(Effect.scoped))
})

describe("a pass whose cache is behind", () => {
  it.effect("decides nothing while the cache is behind its own status, and again once it is not", () =>
    Effect.gen(function*() {
      const world = make(policy)
      const { task } = worldOf({ ...plainSeed, life: "queued", cancel: true })
      const at = (resourceVersion: string) =>
        world.setTask("tasks/task", Option.some({ ...task, metadata: { ...task.metadata, resourceVersion } }))
      let passes = 0
      const all = () =>
        Effect.sync(() => {
          passes++
          return Option.none()
        })
      const executor = carriesOut({ all })
      const reconcile = yield* reconcilerOf({ world, executor })
      at("1")
      yield* reconcile("tasks/task")
      yield* reconcile("tasks/task")
      expect(passes).toBe(1)
      at("2")
      yield* reconcile("tasks/task")
      expect(passes).toBe(2)
    }).pipe(Effect.scoped))

  it.effect("decides again upon a task that went and is there again as it was: a version that it cannot read came in between", () =>
    Effect.gen(function*() {
      const world = make(policy)
      const { task } = worldOf({ ...plainSeed, life: "queued" })
      let passes = 0
      const all = () => Effect.sync(() => (passes++, Option.none()))
      const reconcile = yield* reconcilerOf({ world, executor: carriesOut({ all }) })
      for (const seen of [Option.some(task), Option.none(), Option.some(task)]) {
        world.setTask("tasks/task", seen)
        yield* reconcile("tasks/task")
      }
      expect(passes).toBe(2)
    }).pipe(Effect.scoped))

  it.effect("writes nothing of a task of which the API server has more than the cache, and looks again: soon, then every few seconds", () =>
    Effect.gen(function*() {
      const { task } = worldOf(plainSeed)
      const world = holding(task)
      let written = 0
      const executor = carriesOut({
        all: () => Effect.fail(new Behind({ object: "AgentTask tasks/task" })),
        writeStatus: () => Effect.sync(() => String(++written))
      })
      const reconcile = yield* reconcilerOf({ world, executor })
      const { logger, said } = logged()
      const pauses = yield* Effect.forEach([1, 2], () => reconcile("tasks/task")).pipe(Effect.provide(logger))
      expect(pauses).toEqual([Option.some(Duration.millis(200)), Option.some(Duration.seconds(5))])
      expect(said).toEqual([[new Behind({ object: "AgentTask tasks/task" }).message]]) // once it has not caught up at once
      expect([written, world.turns.waiting()]).toEqual([0, ["tasks/task"]])
    }).pipe(Effect.scoped))

  it.effect.each([
    { given: "the cache stays behind", fresh: false, most: 14 },
    { given: "somebody else writes it each time", fresh: true, most: 400 }
  ])(
    "writes less often what conflicts again and again, as long as nothing new is seen: $given",
    ({ fresh, most }) =>
      Effect.gen(function*() {
        const world = make(policy)
        const { task } = worldOf({ ...plainSeed, life: "queued", cancel: true })
        let written = 0
        const seen = () =>
          world.setTask(
            "tasks/task",
            Option.some({ ...task, metadata: { ...task.metadata, resourceVersion: String(fresh ? written : 1) } })
          )
        const conflict = new Conflict({
          verb: "update the status of",
          object: "AgentTask tasks/task",
          code: 409,
          reason: "Conflict",
          detail: "the object has been modified"
        })
        const writeStatus = () =>
          Effect.suspend(() => {
            written++
            seen()
            return Effect.fail(conflict)
          })
        const executor = carriesOut({ all: () => Effect.succeedNone, writeStatus })
        const reconcile = yield* reconcilerOf({ world, executor })
        seen()
        const { add } = yield* KeyedQueue.make({
          concurrency: 1,
          work: reconcile,
          backoff: makeBackoff(Duration.seconds(1), Duration.minutes(5))
        })
        yield* add("tasks/task")
        yield* TestClock.adjust("1 minute")
        expect(written).toBeLessThanOrEqual(most)
        expect(written).toBeGreaterThanOrEqual(fresh ? 200 : 12)
      }).pipe(Effect.scoped)
  )

  it.effect("looks again at a task that ended and of whose new status the API server stored nothing, as an older CRD does not know it", () =>
    Effect.gen(function*() {
      const { task } = worldOf({ ...plainSeed, pool: true, life: "succeeded" })
      const world = holding(task)
      let written = 0
      const writeStatus = () =>
        Effect.sync(() => {
          written++
          return task.metadata.resourceVersion
        })
      const reconcile = yield* reconcilerOf({ world, executor: carriesOut({ all: () => Effect.succeedNone, writeStatus }) })
      yield* Effect.replicateEffect(reconcile("tasks/task"), 2)
      expect(written).toBe(2)
    }).pipe(Effect.scoped))
})

describe("a pass that is refused its Job", () => {
  it.effect("looks again when a former task's Job vanished between its refusal and the look at it", () =>
    Effect.gen(function*() {
      const { task } = worldOf(plainSeed)
      const world = holding(task)
      const gone = new NotFound({
        verb: "get",
        object: "Job tasks/agent-job-task",
        code: 404,
        reason: "NotFound",
        detail: "gone",
        isKindServed: true
      })
      const executor = carriesOut({
        all: () => Effect.fail(gone)
      })
      const reconcile = yield* reconcilerOf({ world, executor })
      expect(Option.isSome(yield* reconcile("tasks/task"))).toBe(true)
      expect(world.turns.waiting()).toEqual(["tasks/task"])
    }).pipe(Effect.scoped))

  it.effect("tells of a Job whose creation a webhook answers with 404, instead of asking again each second without a word", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = instantCluster()
      const world = make(policy)
      const { task } = worldOf(plainSeed)
      server.plant(agentTasks, {
        ...task,
        metadata: { name: "task", namespace: "tasks", uid: task.metadata.uid, resourceVersion: "", creationTimestamp: noon }
      })
      world.setTask("tasks/task", Option.some({ ...task, metadata: { ...task.metadata, resourceVersion: String(server.revision) } }))
      const answers = new NotFound({
        verb: "create",
        object: "Job tasks/agent-job-task",
        code: 404,
        reason: "NotFound",
        detail: "admission webhook \"check.example\" denied the request",
        isKindServed: true
      })
      const refusing = { ...kubernetes, create: () => Effect.fail(answers) }
      const reconcile = yield* reconcilerOf({ world, executor: writes, kubernetes: refusing })
      expect(yield* reconcile("tasks/task")).toEqual(Option.some(Duration.seconds(10)))
      expect(server.all(agentTasks)).toMatchObject([{
        status: { phase: "Queued", reason: "Refused", message: expect.stringContaining("check.example") }
      }])
    }).pipe(Effect.scoped))

  it.effect.each<
    { readonly given: string; readonly pauses: readonly [number, number]; readonly refusal: (words: string) => WriteRefused | Unsure }
  >([
    {
      given: "refuses",
      pauses: [10_000, 10_000],
      refusal: (message) => new WriteRefused({ kind: "Refused", message, againInMillis: 10_000 })
    },
    {
      given: "refuses for longer",
      pauses: [30_000, 30_000],
      refusal: (message) => new WriteRefused({ kind: "Refused", message, againInMillis: 30_000 })
    },
    {
      given: "fails to make, ever more seldom",
      pauses: [1_000, 2_000],
      refusal: (detail) =>
        new Unsure({ because: new Unreachable({ verb: "create", object: "Job tasks/agent-job-task", detail, answered: true }) })
    }
  ])(
    "leaves a Job alone for a while that the API server $given, though its words differ each time",
    ({ pauses: [first, second], refusal }) =>
      Effect.gen(function*() {
        let asked = 0
        const all: Executor["Service"]["all"] = (_, actions) =>
          Effect.suspend(() => actions.some(Action.$is("CreateJob")) ? Effect.fail(refusal(`port ${++asked}`)) : Effect.succeedNone)
        const { written } = yield* driven(all)
        yield* TestClock.adjust(first - 1)
        expect([asked, written.length]).toEqual([1, 1])
        expect(written).toMatchObject([{ phase: "Queued", reason: "Refused", message: expect.stringContaining("port 1") }])
        yield* TestClock.adjust(1)
        expect([asked, written.length]).toEqual([2, 2])
        yield* TestClock.adjust(second - 1)
        expect([asked, written.length]).toEqual([2, 2])
        yield* TestClock.adjust(1)
        expect([asked, written.length]).toEqual([3, 3])
      }).pipe(Effect.scoped)
  )

  it.effect("ends no launch whose end it heard of while it was refused, until the API server itself says so", () =>
    Effect.gen(function*() {
      const world = make(policy)
      const { job, pod, task } = worldOf({ ...plainSeed, job: "failed", pod: "Evicted" })
      const taskUid = task.metadata.uid
      world.setTask("tasks/task", Option.some(task))
      const done: Array<string> = []
      const all: Executor["Service"]["all"] = (_, actions) =>
        Effect.suspend(() => {
          if (!actions.some(Action.$is("CreateJob"))) return Effect.as(Effect.sync(() => void done.push("another decision")), Option.none())
          world.setJob("tasks/agent-job-task", Option.map(job, (seen) => ({ taskUid, seen })))
          world.setPod("tasks/pod", Option.map(pod, (seen) => ({ taskUid, seen })))
          return Effect.fail(new WriteRefused({ kind: "Refused", message: "no", againInMillis: 10_000 }))
        })
      const writeStatus = () => Effect.as(Effect.sync(() => void done.push("a status")), "2")
      const reconcile = yield* reconcilerOf({ world, executor: carriesOut({ all, writeStatus }) })
      expect([yield* reconcile("tasks/task"), done]).toEqual([Option.some(Duration.millis(200)), []]) // it has no such Job
    }).pipe(Effect.scoped))

  it.effect.each<{ readonly given: string; readonly answer: WriteRefused | Unsure; readonly asks: ReadonlyArray<string> }>([
    {
      given: "it was refused",
      answer: new WriteRefused({ kind: "Refused", message: "no", againInMillis: 10_000 }),
      asks: ["leases", "its Job"]
    },
    {
      given: "it may have been made, and is looked for",
      answer: new Unsure({ because: new Unreachable({ verb: "create", object: "its Job", detail: "HTTP 500", answered: true }) }),
      asks: ["leases", "its Job", "jobs", "atasks"]
    }
  ])(
    "asks again for the Job of an apply once that is due, and before that who holds its workspace: $given",
    ({ answer, asks }) =>
      Effect.gen(function*() {
        const { kubernetes, server } = instantCluster()
        const asked: Array<string> = []
        const get: typeof kubernetes.get = (kind, place) =>
          Effect.andThen(Effect.sync(() => void asked.push(kind.plural)), kubernetes.get(kind, place))
        const all: Executor["Service"]["all"] = (_, actions) =>
          Effect.suspend(() => {
            if (!actions.some(Action.$is("CreateJob"))) return Effect.succeedNone
            asked.push("its Job")
            return Effect.fail(answer)
          })
        yield* driven(all, { kubernetes: { ...kubernetes, get }, server }, { ...plainSeed, stage: "apply" })
        expect(asked.splice(0)).toEqual(asks)
        yield* TestClock.adjust(answer._tag === "Unsure" ? "1 second" : "10 seconds")
        expect(asked).toEqual(asks)
      }).pipe(Effect.scoped)
  )

  it.effect("ends a task whose Job is denied for as long as a start may take, and asks for it no more", () =>
    Effect.gen(function*() {
      let asked = 0
      const denial = new WriteRefused({ kind: "Denied", message: "A webhook denied the request.", againInMillis: 10_000 })
      const { written } = yield* driven((_, actions) =>
        Effect.suspend(() => actions.some(Action.$is("CreateJob")) ? Effect.fail((asked++, denial)) : Effect.succeedNone)
      )
      yield* TestClock.adjust("179 seconds")
      expect([asked, written.at(-1)]).toMatchObject([18, { phase: "Queued", reason: "Refused" }])
      yield* TestClock.adjust("1 hour")
      expect([asked, written.at(-1)]).toMatchObject([19, { phase: "Failed", reason: "Denied" }])
    }).pipe(Effect.scoped))
})

describe("a Job that the API server failed to make", () => {
  const { task } = worldOf(plainSeed)
  const ownerReferences = [{ ...ownerReference(task), controller: true }]

  it.effect.each([
    { given: "a look does not find it", there: [], told: true, keeps: false },
    { given: "a look finds a stranger's", there: [[]], told: true, keeps: false },
    { given: "a look has no answer", there: undefined, told: false, keeps: true },
    { given: "a look finds it", there: [ownerReferences], told: false, keeps: true }
  ])(
    "is told with its words, and keeps the slot of its task only while it may be there: $given",
    ({ keeps, there, told }) =>
      Effect.gen(function*() {
        const { kubernetes, server } = instantCluster()
        for (const ownerReferences of there ?? []) {
          server.create(jobs, { metadata: { name: "agent-job-task", namespace: "tasks", ownerReferences }, spec: {} })
        }
        const silence = new Unreachable({ verb: "get", object: "Job tasks/agent-job-task", detail: "no answer in 30s" })
        const because = new Unreachable({
          verb: "create",
          object: "Job tasks/agent-job-task",
          detail: "HTTP 500 InternalError: failed calling webhook \"check.example\"",
          answered: true
        })
        const all: Executor["Service"]["all"] = (_, actions) =>
          actions.some(Action.$is("CreateJob")) ? Effect.fail(new Unsure({ because })) : Effect.succeedNone
        const { look, world, written } = yield* driven(all, {
          kubernetes: there === undefined ? { ...kubernetes, get: () => Effect.fail(silence) } : kubernetes,
          server
        })
        expect(written).toMatchObject(
          told ? [{ phase: "Queued", reason: "Refused", message: expect.stringContaining("failed calling webhook \"check.example\"") }] : []
        )
        yield* look
        expect(written).toHaveLength(told ? 1 : 0) // a second look writes nothing more
        expect(world.turns.waiting()).toEqual(keeps ? [] : ["tasks/task"])
        world.setJob(
          "tasks/agent-job-task",
          Option.map(worldOf({ ...plainSeed, job: "active" }).job, (seen) => ({ taskUid: task.metadata.uid, seen }))
        ) // the informer reports the Job after all
        yield* look
        expect(world.turns.waiting()).toEqual([])
      }).pipe(Effect.scoped)
  )
})

describe("a Job that the API server fails to make again", () => {
  const failing = Effect.gen(function*() {
    const world = make(policy)
    const { kubernetes, server } = instantCluster()
    const because = new Unreachable({ verb: "create", object: "Job tasks/agent-job-task", detail: "HTTP 500", answered: true })
    const executor = carriesOut({
      all: (_, actions) => actions.some(Action.$is("CreateJob")) ? Effect.fail(new Unsure({ because })) : Effect.succeedNone,
      writeStatus: ({ metadata: { resourceVersion } }) => Effect.succeed(resourceVersion) // so no event of it has to come
    })
    const reconcile = yield* reconcilerOf({ world, executor, kubernetes, values: { task: { job: { backoffLimit: 2 } } } })
    const { task } = worldOf(plainSeed)
    server.plant(agentTasks, { ...task, metadata: { name: "task", namespace: "tasks", uid: task.metadata.uid, resourceVersion: "" } })
    const comes = Effect.sync(() =>
      world.setTask("tasks/task", Option.some({ ...task, metadata: { ...task.metadata, resourceVersion: String(server.revision) } }))
    )
    /** Makes a pass, and returns after how long the next one is due, for which it waits. */
    const pass = Effect.gen(function*() {
      const next = Option.map(yield* reconcile("tasks/task"), Duration.toMillis)
      yield* TestClock.adjust(Option.getOrElse(next, () => 0))
      return next
    })
    const hears = (job: Observed["job"]) =>
      Effect.sync(() => world.setJob("tasks/agent-job-task", Option.map(job, (seen) => ({ taskUid: task.metadata.uid, seen }))))
    yield* comes
    return { because, comes, goes: Effect.sync(() => world.setTask("tasks/task", Option.none())), hears, pass }
  })
  const pauses = (...millis: ReadonlyArray<number>) => millis.map(Option.some)

  it.effect("is told in the log each time, with the words of the API server", () =>
    Effect.gen(function*() {
      const { because, pass } = yield* failing
      const { logger, said } = logged()
      yield* Effect.provide(Effect.replicateEffect(pass, 2), logger)
      expect(said).toEqual([[because.message], [because.message]])
    }).pipe(Effect.scoped))

  it.effect("is asked for as the first time after it was there", () =>
    Effect.gen(function*() {
      const { hears, pass } = yield* failing
      expect(yield* Effect.replicateEffect(pass, 3)).toEqual(pauses(1_000, 2_000, 4_000))
      yield* hears(worldOf({ ...plainSeed, job: "active" }).job)
      yield* pass
      yield* hears(Option.none())
      expect(yield* Effect.replicateEffect(pass, 2)).toEqual(pauses(1_000, 2_000))
    }).pipe(Effect.scoped))

  it.effect("is asked for as the first time for a task that has the name of one that went", () =>
    Effect.gen(function*() {
      const { comes, goes, pass } = yield* failing
      expect(yield* Effect.replicateEffect(pass, 3)).toEqual(pauses(1_000, 2_000, 4_000))
      yield* goes
      expect(yield* pass).toEqual(Option.none())
      yield* comes
      expect(yield* Effect.replicateEffect(pass, 2)).toEqual(pauses(1_000, 2_000))
    }).pipe(Effect.scoped))
})

describe("a Job that was made although the API server answered otherwise, and that no watch has told of", () => {
  it.effect("keeps the slot of its task when a pass meets a conflict, as its worker has claimed the task meanwhile", () =>
    Effect.gen(function*() {
      const { task } = worldOf(plainSeed)
      const world = holding(task)
      world.turns.reserve(task.metadata.uid) // by the pass that had no sure answer
      const { kubernetes, server } = instantCluster()
      const ownerReferences = [{ ...ownerReference(task), controller: true }]
      server.create(jobs, { metadata: { name: "agent-job-task", namespace: "tasks", ownerReferences }, spec: {} })
      const conflict = new Conflict({ verb: "update", object: "AgentTask tasks/task", code: 409, reason: "Conflict", detail: "modified" })
      let conflicts = 0
      const executor = carriesOut({
        all: () => Effect.succeedNone,
        writeStatus: () => Effect.suspend(() => (conflicts++, Effect.fail(conflict)))
      })
      const reconcile = yield* reconcilerOf({ world, executor, kubernetes })
      yield* TestClock.setTime(Date.parse(noon) + 60_000) // a start that takes long is told of
      yield* reconcile("tasks/task")
      expect(conflicts).toBe(1)
      expect(world.turns.waiting()).toEqual([])
    }).pipe(Effect.scoped))
})

describe("a pass that ends a task", () => {
  const conflict = new Conflict({ verb: "update", object: "AgentTask tasks/task", code: 409, reason: "Conflict", detail: "modified" })
  const unanswered = new Unreachable({ verb: "update the status of", object: "AgentTask tasks/task", detail: "no answer in 30s" })

  /** Returns how often a decision was counted that ends a task of this stage as failed. */
  const endsIn = (situation: string, stage: Stage) =>
    Effect.map(
      Metric.snapshot,
      (all) =>
        all.flatMap((_) =>
          _.type === "Counter" && _.id === "agent_job_reconcile_total" && Equal.equals(_.attributes, { situation, stage, ends: "Failed" })
            ? [Number(_.state.count)]
            : []
        )[0] ?? 0
    )

  it.effect.each([{ kind: "Invalid", reason: "Denied" }, { kind: "NameTaken", reason: "NameTaken" }] as const)(
    "counts the end of a task whose Job is refused for good in the very pass that asked for it: $kind",
    ({ kind, reason }) =>
      Effect.gen(function*() {
        const situation = "the API server refused its Job for good"
        const before = yield* endsIn(situation, "plan")
        const refusal = new WriteRefused({ kind, message: "no", againInMillis: 10_000 })
        const { written } = yield* driven((_, actions) => actions.some(Action.$is("CreateJob")) ? Effect.fail(refusal) : Effect.succeedNone)
        expect(written).toMatchObject([{ phase: "Failed", reason }])
        expect((yield* endsIn(situation, "plan")) - before).toBe(1)
      }).pipe(Effect.scoped)
  )

  /** Returns when a decision last ended a task of this stage as failed, in Unix time. */
  const lastEnded = (situation: string, stage: Stage) =>
    Effect.map(
      Metric.snapshot,
      (all) =>
        all.flatMap((_) =>
          _.type === "Gauge" && _.id === "agent_job_task_ended_timestamp_seconds" &&
            Equal.equals(_.attributes, { situation, stage, ends: "Failed" })
            ? [Number(_.state.value)]
            : []
        )
    )

  it.effect.each(["plan", "apply"] as const)(
    "counts the loss of a claimed stage by its kind, and says when it was: %s",
    (stage) =>
      Effect.gen(function*() {
        const situation = "claimed, and the worker is over without a result"
        yield* TestClock.setTime(Date.parse("2026-07-01T12:00:00.000Z"))
        const before = yield* endsIn(situation, stage)
        const world = holding(worldOf({ ...plainSeed, stage, life: "claimed" }).task)
        const reconcile = yield* reconcilerOf({ world, executor: carriesOut({ all: () => Effect.succeedNone }) })
        yield* reconcile("tasks/task")
        expect((yield* endsIn(situation, stage)) - before).toBe(1)
        expect(yield* lastEnded(situation, stage)).toEqual([Date.parse("2026-07-01T12:00:00.000Z") / 1000])
      }).pipe(Effect.scoped)
  )

  it.effect.each([
    {
      given: "but not one whose writing was refused, as the worker's result came first",
      error: conflict,
      at: "2026-08-01T12:00:00.000Z",
      counted: 0
    },
    {
      given: "and one whose writing had no answer, since no later pass ends the task if it happened",
      error: unanswered,
      at: "2026-08-02T12:00:00.000Z",
      counted: 1
    }
  ])("counts an end that was written, $given", ({ at, counted, error }) =>
    Effect.gen(function*() {
      const situation = "claimed, and the worker is over without a result"
      yield* TestClock.setTime(Date.parse(at))
      const before = yield* endsIn(situation, "destroy")
      const world = holding(worldOf({ ...plainSeed, stage: "destroy", life: "claimed" }).task)
      const executor = carriesOut({ all: () => Effect.succeedNone, writeStatus: () => Effect.fail(error) })
      const reconcile = yield* reconcilerOf({ world, executor })
      yield* Effect.exit(reconcile("tasks/task"))
      expect((yield* endsIn(situation, "destroy")) - before).toBe(counted)
      expect((yield* lastEnded(situation, "destroy")).includes(Date.parse(at) / 1000)).toBe(counted === 1)
    }).pipe(Effect.scoped))

  it.effect("counts no end of a task that was over before, as each is when a controller begins to lead", () =>
    Effect.gen(function*() {
      const ends = Effect.map(
        Metric.snapshot,
        (all) =>
          all.filter(({ attributes, id }) => id === "agent_job_reconcile_total" && attributes?.["ends"] !== undefined).map(({ state }) =>
            state
          )
      )
      const before = yield* ends
      const world = make(policy)
      world.setTask("tasks/task", Option.some(worldOf({ ...plainSeed, life: "lost" }).task))
      yield* (yield* reconcilerOf({ world, executor: carriesOut({ all: () => Effect.succeedNone }) }))("tasks/task")
      expect(yield* ends).toEqual(before)
    }).pipe(Effect.scoped))

  it.effect("says of a task that goes on no time of an end", () =>
    Effect.gen(function*() {
      const world = holding(worldOf({ ...plainSeed, life: "claimed", job: "active", pod: "Running" }).task)
      const reconcile = yield* reconcilerOf({ world, executor: carriesOut({ all: () => Effect.succeedNone }) })
      yield* reconcile("tasks/task")
      expect((yield* Metric.snapshot).filter(({ attributes, id }) =>
        id === "agent_job_task_ended_timestamp_seconds" && attributes?.["ends"] === undefined
      )).toEqual([])
    }).pipe(Effect.scoped))
})

describe("a pass over a task of a pool", () => {
  it.effect("says why a task waits before the pool has heard it, and waits for a pool that is silent no longer than a moment", () =>
    Effect.gen(function*() {
      const world = make({ ...policy, limits: { total: 0, perWorkspace: 1 } })
      const { kubernetes, server } = instantCluster()
      const { task } = worldOf({ ...plainSeed, pool: true })
      server.plant(agentTasks, { ...task, metadata: { name: "task", namespace: "tasks", uid: task.metadata.uid, resourceVersion: "" } })
      world.setTask("tasks/task", Option.some({ ...task, metadata: { ...task.metadata, resourceVersion: String(server.revision) } }))
      const heard: Array<string> = []
      const pool = Layer.mock(Pool, { wait: (_, __, reason) => Effect.andThen(Effect.sync(() => void heard.push(reason)), Effect.never) })
      const reconcile = yield* reconcilerOf({ world, executor: writes, kubernetes, pool })
      const pass = yield* Effect.forkChild(reconcile("tasks/task"))
      yield* TestClock.adjust("1 second")
      expect(server.all(agentTasks)).toMatchObject([{ status: { phase: "Queued", reason: "ConcurrencyLimit" } }])
      expect(heard).toEqual(["ConcurrencyLimit"])
      yield* TestClock.adjust("1 second")
      expect(pass.pollUnsafe()).toBeDefined()
      yield* Fiber.join(pass)
    }).pipe(Effect.scoped))

  /** Tasks of a pool that may not start, and passes over them. `wait` hears what the pool is told. */
  const waiting = Effect.fnUntraced(function*(names: ReadonlyArray<string>, wait: Pool["Service"]["wait"]) {
    const world = make({ ...policy, limits: { total: 0, perWorkspace: 1 } })
    const { kubernetes, server } = instantCluster()
    const { task } = worldOf({ ...plainSeed, pool: true })
    const reconcile = yield* reconcilerOf({ world, executor: writes, kubernetes, pool: Layer.mock(Pool, { wait }) })
    const { add } = yield* KeyedQueue.make({
      concurrency: 1,
      work: reconcile,
      backoff: makeBackoff(Duration.seconds(1), Duration.minutes(5))
    })
    for (const name of names) server.plant(agentTasks, { ...task, metadata: { name, namespace: "tasks", uid: name, resourceVersion: "" } })
    /** Does what the informer does: takes in the newest version of each task and has each one looked at. */
    return Effect.andThen(
      Effect.suspend(() =>
        Effect.forEach(server.all(agentTasks) as ReadonlyArray<unknown> as ReadonlyArray<AgentTask>, (_) => {
          world.setTask(
            `tasks/${_.metadata.name}`,
            Option.some({ ...task, status: _.status ?? {}, metadata: { ...task.metadata, ..._.metadata } })
          )
          return add(`tasks/${_.metadata.name}`)
        })
      ),
      TestClock.adjust(0)
    )
  })

  const away = new PoolUnreachable({ url: "http://pool", detail: "connection refused" })
  const noSuchStage = new PoolRefused({ url: "http://pool", status: 404, code: "not-found", detail: "There is no such stage." })
  const noToken = new PoolRefused({ url: "http://pool", status: 401, code: "unauthorized", detail: "no such token" })

  it.effect.each([
    { given: "a pool that is away", error: away, again: true },
    { given: "a pool that refuses the token", error: noToken, again: true },
    { given: "a pool that will never take them", error: noSuchStage, again: false }
  ])("says its words on a wait once to $given, and again only if they may still be heard", ({ again, error }) =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const look = yield* waiting(
        ["task"],
        (_, __, reason) => Effect.suspend(() => said.push(reason) === 1 ? Effect.fail(error) : Effect.void)
      )
      yield* look
      yield* look
      yield* TestClock.adjust("29 seconds")
      expect(said).toEqual(["ConcurrencyLimit"])
      yield* TestClock.adjust("1 second")
      expect(said).toEqual(again ? ["ConcurrencyLimit", "ConcurrencyLimit"] : ["ConcurrencyLimit"])
      yield* look
      yield* TestClock.adjust("1 minute")
      expect(said).toHaveLength(again ? 2 : 1)
    }).pipe(Effect.scoped))

  it.effect("does not know what the pool heard last once it gave no answer, since it may have heard that too", () =>
    Effect.gen(function*() {
      const world = make({ ...policy, limits: { total: 0, perWorkspace: 1 } })
      const { task } = worldOf({ ...plainSeed, pool: true })
      world.setTask("tasks/task", Option.some(task))
      world.setReportedWait(task.metadata.uid, { reason: "WorkspaceBusy", message: "Waits for task-0." })
      const executor = carriesOut({ all: () => Effect.succeedNone, say: () => Effect.succeed(false) })
      yield* (yield* reconcilerOf({ world, executor }))("tasks/task")
      expect(world.reportedWait(task.metadata.uid)).toEqual(Option.none())
    }).pipe(Effect.scoped))

  it.effect.each([{ again: 10, next: 10 }, { again: 60, next: 30 }])(
    "is due again when the pool that did not hear it may be told again, or before that for what else is due: in $again s",
    ({ again, next }) =>
      Effect.gen(function*() {
        const world = make(policy)
        world.setTask("tasks/task", Option.some(worldOf({ ...plainSeed, pool: true }).task))
        const refusal = new WriteRefused({ kind: "Refused", message: "no", againInMillis: again * 1000 })
        const all: Executor["Service"]["all"] = (_, actions) =>
          actions.some(Action.$is("CreateJob")) ? Effect.fail(refusal) : Effect.succeedNone
        const reconcile = yield* reconcilerOf({ world, executor: carriesOut({ all, say: () => Effect.succeed(false) }) })
        expect(yield* reconcile("tasks/task")).toEqual(Option.some(Duration.seconds(next)))
      }).pipe(Effect.scoped)
  )

  it.effect("asks a silent pool for one of all that wait, and tells it of each when it answers again", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      let silent = true
      const look = yield* waiting(["one", "two"], (_, uid) =>
        Effect.suspend(() => {
          said.push(Option.getOrThrow(uid))
          return silent ? Effect.never : Effect.void
        }))
      yield* look
      yield* TestClock.adjust("2 seconds")
      yield* look
      expect(said).toEqual(["one"])
      silent = false
      yield* TestClock.adjust("32 seconds")
      expect(said.toSorted()).toEqual(["one", "one", "two"])
    }).pipe(Effect.scoped))

  it.effect("holds up nothing for a pool that swallows what it is told: one result at a time finds out whether it answers again", () =>
    Effect.gen(function*() {
      const world = make(policy)
      const { kubernetes, server } = instantCluster()
      let [running, silent] = [0, true]
      const told: Array<string> = []
      const pool = Layer.mock(Pool, {
        report: (_, uid) =>
          Effect.suspend(() => {
            told.push(Option.getOrThrow(uid))
            return silent ? Effect.never : Effect.sleep("20 millis")
          })
      })
      const reconcile = yield* reconcilerOf({ world, executor: writes, kubernetes, pool })
      const queue = yield* KeyedQueue.make({
        concurrency: 2,
        work: (key) => Effect.ensuring(Effect.andThen(Effect.sync(() => running++), reconcile(key)), Effect.sync(() => running--)),
        backoff: makeBackoff(Duration.seconds(1), Duration.minutes(5))
      })
      const { task: over } = worldOf({ ...plainSeed, life: "failed", pool: true })
      const { task: plain } = worldOf(plainSeed)
      const add = (task: AgentTask, name: string) => {
        const metadata = { ...task.metadata, name, uid: Uid.make(name) }
        server.plant(agentTasks, { ...task, metadata: { name, namespace: "tasks", uid: name, resourceVersion: "" } })
        world.setTask(`tasks/${name}`, Option.some({ ...task, metadata: { ...metadata, resourceVersion: String(server.revision) } }))
        return queue.add(`tasks/${name}`)
      }
      for (let index = 0; index < 20; index++) yield* add(over, `over-${index}`)
      yield* TestClock.adjust("14 seconds")
      expect([told.length, running]).toEqual([2, 0])
      yield* add(plain, "plain")
      yield* TestClock.adjust(0)
      expect(server.all(jobs).map(({ metadata }) => metadata.name)).toEqual(["agent-job-plain"])
      yield* TestClock.adjust("30 seconds")
      expect([told.length, running]).toEqual([3, 1])
      yield* add(plain, "other")
      yield* TestClock.adjust(0)
      expect(server.all(jobs)).toHaveLength(2)
      silent = false
      yield* TestClock.adjust("14 seconds")
      expect(told.length).toBe(3) // the report that was under way stays silent to its end, and the pool rests once more
      yield* TestClock.adjust("30 seconds")
      expect(told.length).toBe(4)
      yield* TestClock.adjust("2 seconds")
      expect(new Set(told).size).toBe(20)
    }).pipe(Effect.scoped))
})

describe("a new artifact of a followed source", () => {
  const { job, task } = worldOf({ ...plainSeed, life: "succeeded", job: "complete", source: "known", follows: "plan" })
  const known = task.status.source?.sha256 ?? ""
  const other = "b".repeat(64)

  it.effect.each([
    { given: "is there", has: Option.none(), read: [other, other], made: ["CreateTask"] },
    { given: "is there, as the task's Job still is,", has: job, read: [other, other], made: ["CreateTask"] },
    { given: "was there, and is gone again", has: Option.none(), read: [other, known], made: [] }
  ])("that $given at the second look makes $made", ({ has, made, read }) =>
    Effect.gen(function*() {
      const world = holding(task)
      world.setJob("tasks/agent-job-task", Option.map(has, (seen) => ({ taskUid: task.metadata.uid, seen })))
      const cluster = instantCluster()
      if (Option.isSome(has)) plantJob(cluster.server)
      const answers = [...read]
      const kubernetes = Kubernetes.of({
        ...cluster.kubernetes,
        get: (kind, place) => {
          plantSource(cluster.server, place.name, answers.shift() ?? "")
          return cluster.kubernetes.get(kind, place)
        }
      })
      const done: Array<string> = []
      const all: Executor["Service"]["all"] = (_, actions) => {
        done.push(...actions.map(({ _tag }) => _tag))
        return Effect.succeedNone
      }
      const reconcile = yield* reconcilerOf({ world, executor: carriesOut({ all }), kubernetes })
      yield* reconcile("tasks/task")
      expect([done, answers]).toEqual([made, []])
    }).pipe(Effect.scoped))
})

describe("the passes over a task", () => {
  /** Returns how many runs of a destroy with this end were counted. */
  const runsCounted = (ends: string) =>
    Effect.map(
      Metric.snapshot,
      (all) =>
        all.flatMap((_) =>
          _.type === "Histogram" && _.id === "agent_job_task_run_seconds" && Equal.equals(_.attributes, { stage: "destroy", ends })
            ? [_.state.count]
            : []
        )[0] ?? 0
    )

  it.effect.each([
    { given: "its worker wrote the end", ends: "Succeeded", writtenByWorker: true },
    { given: "a decision did", ends: "Failed", writtenByWorker: false }
  ])("count how long it ran, once: $given", ({ ends, writtenByWorker }) =>
    Effect.gen(function*() {
      const counted = yield* runsCounted(ends)
      const world = make(policy)
      const seed: Seed = { ...plainSeed, stage: "destroy", life: "claimed", worker: "running", runner: "running" }
      const { job, pod, task } = worldOf({ ...seed, job: "active", pod: "Running" })
      const has = (status: AgentTaskStatus, resourceVersion: string) =>
        world.setTask("tasks/task", Option.some({ ...task, metadata: { ...task.metadata, resourceVersion }, status }))
      const { uid } = task.metadata
      has(task.status, "1")
      world.setJob("tasks/agent-job-task", Option.map(job, (seen) => ({ taskUid: uid, seen })))
      world.setPod("tasks/pod", Option.map(pod, (seen) => ({ taskUid: uid, seen })))
      const executor = carriesOut({
        all: () => Effect.succeedNone,
        writeStatus: (_, status) => Effect.as(Effect.sync(() => has(status, "2")), "2")
      })
      const reconcile = yield* reconcilerOf({ world, executor })
      yield* reconcile("tasks/task")
      if (writtenByWorker) has(finished(task.status, success, 1, false), "2")
      else {
        world.setJob("tasks/agent-job-task", Option.none())
        world.setPod("tasks/pod", Option.none())
      }
      yield* Effect.repeat(reconcile("tasks/task"), { times: 2 })
      expect((yield* runsCounted(ends)) - counted).toBe(1)
    }).pipe(Effect.scoped))
  it.effect("count no run of a task that went meanwhile", () =>
    Effect.gen(function*() {
      const counted = yield* runsCounted("Succeeded")
      const world = make(policy)
      const { task } = worldOf({ ...plainSeed, stage: "destroy", life: "claimed" })
      const over = { ...task, status: finished(task.status, success, 1, false) }
      const reconcile = yield* reconcilerOf({ world, executor: carriesOut({ all: () => Effect.succeedNone }) })
      for (const seen of [Option.some(task), Option.none(), Option.some(over)]) {
        world.setTask("tasks/task", seen)
        yield* reconcile("tasks/task")
      }
      expect(yield* runsCounted("Succeeded")).toBe(counted)
    }).pipe(Effect.scoped))
})
