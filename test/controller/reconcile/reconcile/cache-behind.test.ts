// A pass whose cache does not have what the API server has: it decides nothing, and how often it tries.
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Option } from "effect"
import { TestClock } from "effect/testing"
import { Behind } from "../../../../src/controller/reconcile/behind.ts"
import { make } from "../../../../src/controller/world/world.ts"
import { AlreadyExists } from "../../../../src/kubernetes/errors.ts"
import { plainSeed, policy, worldOf } from "../../../core/worlds.ts"
import { carriesOut, conflict, holding, logged, queueOf, reconcilerOf } from "./passes.ts"

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

  it.effect.each([
    new Behind({ object: "AgentTask tasks/task" }),
    conflict,
    new AlreadyExists({ verb: "create", object: "Lease tasks/lease", code: 409, reason: "AlreadyExists", detail: "exists" })
  ])(
    "writes nothing of a task of which the API server has more than the cache, and looks again: soon, then every few seconds ($_tag)",
    (error) =>
      Effect.gen(function*() {
        const { task } = worldOf(plainSeed)
        const world = holding(task)
        let written = 0
        const executor = carriesOut({
          all: () => Effect.fail(error),
          writeStatus: () => Effect.sync(() => String(++written))
        })
        const reconcile = yield* reconcilerOf({ world, executor })
        const { logger, said } = logged()
        const pauses = yield* Effect.forEach([1, 2], () => reconcile("tasks/task")).pipe(Effect.provide(logger))
        expect(pauses).toEqual([Option.some(Duration.millis(200)), Option.some(Duration.seconds(5))])
        expect(said).toEqual([["the cache is behind; the task is looked at again until it has caught up", error.message]]) // once it has not caught up at once
        expect([written, world.turns.waiting()]).toEqual([0, ["tasks/task"]])
      }).pipe(Effect.scoped)
  )

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
        const writeStatus = () =>
          Effect.suspend(() => {
            written++
            seen()
            return Effect.fail(conflict)
          })
        const executor = carriesOut({ writeStatus })
        const reconcile = yield* reconcilerOf({ world, executor })
        seen()
        const { add } = yield* queueOf(reconcile)
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
      const reconcile = yield* reconcilerOf({ world, executor: carriesOut({ writeStatus }) })
      yield* Effect.replicateEffect(reconcile("tasks/task"), 2)
      expect(written).toBe(2)
    }).pipe(Effect.scoped))
})
