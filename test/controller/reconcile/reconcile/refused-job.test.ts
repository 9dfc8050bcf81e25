// A Job that the API server refuses, or fails to make: what is said of it, when it is asked for again, and who keeps the slot meanwhile.
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Option } from "effect"
import { TestClock } from "effect/testing"
import { Executor } from "../../../../src/controller/reconcile/execute.ts"
import { Unsure, WriteRefused } from "../../../../src/controller/reconcile/refusals.ts"
import { make } from "../../../../src/controller/world/world.ts"
import { ownerReference } from "../../../../src/core/manifest/owner-reference.ts"
import { Action } from "../../../../src/core/reconcile/action.ts"
import type { Observed } from "../../../../src/core/task/observed.ts"
import { NotFound, Unreachable } from "../../../../src/kubernetes/errors.ts"
import { agentTasks, jobs } from "../../../../src/kubernetes/kinds.ts"
import { noon, plainSeed, policy, worldOf } from "../../../core/worlds.ts"
import { instantCluster } from "../../instant-cluster.ts"
import { carriesOut, conflict, driven, holding, logged, plantTask, reconcilerOf, writes } from "./passes.ts"

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
      const executor = carriesOut({ all: () => Effect.fail(gone) })
      const reconcile = yield* reconcilerOf({ world, executor })
      expect(yield* reconcile("tasks/task")).toEqual(Option.some(Duration.seconds(1)))
      expect(world.turns.waiting()).toEqual(["tasks/task"])
    }).pipe(Effect.scoped))

  it.effect("tells of a Job whose creation a webhook answers with 404, instead of asking again each second without a word", () =>
    Effect.gen(function*() {
      const { kubernetes, server } = instantCluster()
      const world = make(policy)
      const { task } = worldOf(plainSeed)
      plantTask(server, world, task)
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
    const comes = Effect.sync(() => plantTask(server, world, task))
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
      let conflicts = 0
      const executor = carriesOut({
        writeStatus: () => Effect.suspend(() => (conflicts++, Effect.fail(conflict)))
      })
      const reconcile = yield* reconcilerOf({ world, executor, kubernetes })
      yield* TestClock.setTime(Date.parse(noon) + 60_000) // a start that takes long is told of
      yield* reconcile("tasks/task")
      expect(conflicts).toBe(1)
      expect(world.turns.waiting()).toEqual([])
    }).pipe(Effect.scoped))
})
