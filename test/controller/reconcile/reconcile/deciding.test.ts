// What a pass does when it decides: which slot it takes and keeps, and what it asks the API server once more before it acts.
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Option, References } from "effect"
import { TestClock } from "effect/testing"
import { Executor } from "../../../../src/controller/reconcile/execute.ts"
import { WriteRefused } from "../../../../src/controller/reconcile/refusals.ts"
import { make } from "../../../../src/controller/world/world.ts"
import { Action } from "../../../../src/core/reconcile/action.ts"
import { leaseName } from "../../../../src/core/scheduling/workspace-lease.ts"
import { Kubernetes } from "../../../../src/kubernetes/client.ts"
import { Unreachable } from "../../../../src/kubernetes/errors.ts"
import { agentTasks, events, jobs, leases } from "../../../../src/kubernetes/kinds.ts"
import { Uid } from "../../../../src/schema/names.ts"
import type { AgentTaskStatus } from "../../../../src/schema/task/agent-task.ts"
import { before, noon, plainSeed, policy, worldOf } from "../../../core/worlds.ts"
import { instantCluster } from "../../instant-cluster.ts"
import { plantJob, plantPod, plantSource } from "../planted.ts"
import { carriesOut, conflict, holding, logged, plantTask, reconcilerOf, writes } from "./passes.ts"

describe("a pass that decides", () => {
  const decided = { task: "task", situation: "its turn", actions: ["CreateJob"], againInMillis: 3000 }

  it.effect.each([{ level: "Debug", says: [["decided", decided]] }, { level: "Info", says: [] }] as const)(
    "says what it decided at level Debug alone: $level",
    ({ level, says }) =>
      Effect.gen(function*() {
        const reconcile = yield* reconcilerOf({ world: holding(worldOf(plainSeed).task), executor: carriesOut() })
        const { logger, said } = logged()
        yield* reconcile("tasks/task").pipe(Effect.provideService(References.MinimumLogLevel, level), Effect.provide(logger))
        expect(said).toEqual(says)
      }).pipe(Effect.scoped)
  )

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
        plantTask(server, world, { ...task, metadata: { ...task.metadata, name, uid: Uid.make(name), creationTimestamp } })
      }
      for (const name of ["holder", "older", "holder"]) yield* reconcile(`tasks/${name}`)
      expect(server.all(jobs).map(({ metadata }) => metadata.name)).toEqual(["agent-job-holder"])
      expect(server.all(agentTasks).find(({ metadata }) => metadata.name === "older")).toMatchObject({
        status: { reason: "WorkspaceBusy", message: "Waiting for holder, which goes before it in workspace demo." }
      })
    }).pipe(Effect.scoped))
})

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
