// The histograms of how long tasks wait and run, as Prometheus reads them, from what passes over the tasks see.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { makeTaskTimes } from "../../../src/controller/reconcile/task-times.ts"
import { finished } from "../../../src/core/task/status.ts"
import { Uid } from "../../../src/schema/names.ts"
import type { AgentTask } from "../../../src/schema/task/agent-task.ts"
import { before, noon, plainSeed, success, worldOf } from "../../core/worlds.ts"

const of = (seed: Partial<typeof plainSeed>, name = "task"): AgentTask => {
  const { task } = worldOf({ ...plainSeed, stage: "apply", ...seed })
  return { ...task, metadata: { ...task.metadata, uid: Uid.make(name), creationTimestamp: before(72) } }
}
const waits = of({})
const runs = of({ life: "claimed" }) // since a minute before noon
const ends = { ...runs, status: finished(runs.status, { ...success, finishedAt: noon }, 1) }
const strange: AgentTask = { ...runs, status: { ...runs.status, phase: "Archived", finishedAt: noon } }
const denied: AgentTask = { ...waits, status: { phase: "Failed", reason: "Denied", finishedAt: noon } }

/** Returns what Prometheus reads once passes have seen these tasks, one after the other under one name: the series, without the empty ones. */
const told = (...seen: ReadonlyArray<AgentTask>) =>
  Effect.gen(function*() {
    const { saw } = makeTaskTimes()
    yield* Effect.forEach(seen, (task) => saw("tasks/task", task), { discard: true })
    return (yield* PrometheusMetrics.format()).split("\n")
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))

const countsOf = (lines: ReadonlyArray<string>) => lines.filter((line) => /_(?:count|sum)\{/u.test(line))

const waited = [`agent_job_task_wait_seconds_sum{stage="apply"} 12`, `agent_job_task_wait_seconds_count{stage="apply"} 1`]
const ran = [
  `agent_job_task_run_seconds_sum{stage="apply",ends="Succeeded"} 60`,
  `agent_job_task_run_seconds_count{stage="apply",ends="Succeeded"} 1`
]

describe("the time of a task", () => {
  it.effect("is told in buckets from seconds to hours, each with all that are shorter", () =>
    Effect.gen(function*() {
      const lines = yield* told(waits, runs, ends)
      expect(lines.filter((line) => line.includes("agent_job_task_wait_seconds"))).toEqual([
        expect.stringMatching(/^# HELP agent_job_task_wait_seconds .+\.$/u),
        "# TYPE agent_job_task_wait_seconds histogram",
        ...[5, 10].map((le) => `agent_job_task_wait_seconds_bucket{stage="apply",le="${le}"} 0`),
        ...[30, 60, 120, 300, 600, 1800, 3600, 10_800, 43_200, 172_800, 604_800, "+Inf"].map((le) =>
          `agent_job_task_wait_seconds_bucket{stage="apply",le="${le}"} 1`
        ),
        ...waited
      ])
      expect(lines).toContain(`agent_job_task_run_seconds_bucket{stage="apply",ends="Succeeded",le="30"} 0`)
      expect(lines).toContain(`agent_job_task_run_seconds_bucket{stage="apply",ends="Succeeded",le="60"} 1`)
    }))

  it.effect.each(
    [
      { given: "a wait as soon as a worker has the task", seen: [waits, runs], expected: waited },
      { given: "both, where it ended before the next look", seen: [waits, ends], expected: [...waited, ...ran] },
      {
        given: "each of them once, however often it is looked at",
        seen: [waits, waits, runs, runs, ends, ends],
        expected: [...waited, ...ran]
      },
      { given: "only the run of a task that this lead found at work", seen: [runs, ends], expected: ran },
      { given: "nothing of a task that was over before", seen: [ends, ends], expected: [] },
      { given: "nothing of one that no worker took", seen: [waits, denied], expected: [] },
      { given: "no run that only a newer version takes for over", seen: [waits, strange, strange], expected: waited },
      { given: "nothing of another task of that name", seen: [waits, of({ life: "claimed" }, "another")], expected: [] },
      {
        given: "no time below zero, where clocks differ",
        seen: [waits, { ...runs, status: { ...runs.status, startedAt: before(100) } }],
        expected: [
          `agent_job_task_wait_seconds_sum{stage="apply"} 0`,
          `agent_job_task_wait_seconds_count{stage="apply"} 1`
        ]
      }
    ]
  )("counts $given", ({ expected, seen }) => Effect.map(told(...seen), (lines) => expect(countsOf(lines)).toEqual(expected)))

  it.effect("is not told of a task that is gone, whose name another may have", () =>
    Effect.gen(function*() {
      const { forget, saw } = makeTaskTimes()
      yield* saw("tasks/task", waits)
      forget("tasks/task")
      yield* saw("tasks/task", runs)
      expect(countsOf((yield* PrometheusMetrics.format()).split("\n"))).toEqual([])
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))
})
