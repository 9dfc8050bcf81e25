// Which ends and runs of tasks are counted by the passes over them, once each, and under what.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Equal, Metric, Option } from "effect"
import { TestClock } from "effect/testing"
import { WriteRefused } from "../../../../src/controller/reconcile/refusals.ts"
import { make } from "../../../../src/controller/world/world.ts"
import { Action } from "../../../../src/core/reconcile/action.ts"
import { finished } from "../../../../src/core/task/status.ts"
import { Unreachable } from "../../../../src/kubernetes/errors.ts"
import type { AgentTaskStatus, Stage } from "../../../../src/schema/task/agent-task.ts"
import { plainSeed, policy, type Seed, success, worldOf } from "../../../core/worlds.ts"
import { carriesOut, conflict, driven, holding, reconcilerOf } from "./passes.ts"

describe("a pass that ends a task", () => {
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
        const reconcile = yield* reconcilerOf({ world, executor: carriesOut() })
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
      const executor = carriesOut({ writeStatus: () => Effect.fail(error) })
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
      yield* (yield* reconcilerOf({ world, executor: carriesOut() }))("tasks/task")
      expect(yield* ends).toEqual(before)
    }).pipe(Effect.scoped))

  it.effect("says of a task that goes on no time of an end", () =>
    Effect.gen(function*() {
      const world = holding(worldOf({ ...plainSeed, life: "claimed", job: "active", pod: "Running" }).task)
      const reconcile = yield* reconcilerOf({ world, executor: carriesOut() })
      yield* reconcile("tasks/task")
      expect((yield* Metric.snapshot).filter(({ attributes, id }) =>
        id === "agent_job_task_ended_timestamp_seconds" && attributes?.["ends"] === undefined
      )).toEqual([])
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
        writeStatus: (_, status) => Effect.as(Effect.sync(() => has(status, "2")), "2")
      })
      const reconcile = yield* reconcilerOf({ world, executor })
      yield* reconcile("tasks/task")
      if (writtenByWorker) has(finished(task.status, success, 1), "2")
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
      const over = { ...task, status: finished(task.status, success, 1) }
      const reconcile = yield* reconcilerOf({ world, executor: carriesOut() })
      for (const seen of [Option.some(task), Option.none(), Option.some(over)]) {
        world.setTask("tasks/task", seen)
        yield* reconcile("tasks/task")
      }
      expect(yield* runsCounted("Succeeded")).toBe(counted)
    }).pipe(Effect.scoped))
})
