// What a pass tells the pool of a task, and for how long it waits for a pool that is silent.
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { Pool, PoolRefused, PoolUnreachable } from "../../../../src/controller/pool/pool.ts"
import { Executor } from "../../../../src/controller/reconcile/execute.ts"
import { WriteRefused } from "../../../../src/controller/reconcile/refusals.ts"
import { make } from "../../../../src/controller/world/world.ts"
import { Action } from "../../../../src/core/reconcile/action.ts"
import { agentTasks, jobs } from "../../../../src/kubernetes/kinds.ts"
import { Uid } from "../../../../src/schema/names.ts"
import type { AgentTask } from "../../../../src/schema/task/agent-task.ts"
import { plainSeed, policy, worldOf } from "../../../core/worlds.ts"
import { instantCluster } from "../../instant-cluster.ts"
import { carriesOut, plantTask, queueOf, reconcilerOf, writes } from "./passes.ts"

describe("a pass over a task of a pool", () => {
  it.effect("says why a task waits before the pool has heard it, and waits for a pool that is silent no longer than a moment", () =>
    Effect.gen(function*() {
      const world = make({ ...policy, limits: { total: 0, perWorkspace: 1 } })
      const { kubernetes, server } = instantCluster()
      const { task } = worldOf({ ...plainSeed, pool: true })
      plantTask(server, world, task)
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
    const { add } = yield* queueOf(reconcile)
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
      const executor = carriesOut({ say: () => Effect.succeed(false) })
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
      const queue = yield* queueOf(
        (key) => Effect.ensuring(Effect.andThen(Effect.sync(() => running++), reconcile(key)), Effect.sync(() => running--)),
        2
      )
      const { task: over } = worldOf({ ...plainSeed, life: "failed", pool: true })
      const { task: plain } = worldOf(plainSeed)
      const add = (task: AgentTask, name: string) => {
        plantTask(server, world, { ...task, metadata: { ...task.metadata, name, uid: Uid.make(name) } })
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
