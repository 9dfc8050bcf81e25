// A Job that the API server does not delete: what goes on all the same, who is told, and that it is deleted once it may be.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option, Result } from "effect"
import { TestClock } from "effect/testing"
import { Pool } from "../../../../src/controller/pool/pool.ts"
import { projectJob, projectTask } from "../../../../src/controller/world/project.ts"
import { make } from "../../../../src/controller/world/world.ts"
import { Forbidden, type KubernetesError, Unreachable } from "../../../../src/kubernetes/errors.ts"
import { agentTasks, events, jobs } from "../../../../src/kubernetes/kinds.ts"
import { Sha256 } from "../../../../src/schema/names.ts"
import { noon, plainSeed, policy, type Seed, worldOf } from "../../../core/worlds.ts"
import { instantCluster } from "../../instant-cluster.ts"
import { plantJob, plantSource } from "../planted.ts"
import { plantTask, reconcilerOf, writes } from "./passes.ts"

const call = { verb: "delete", object: "Job tasks/agent-job-task" } as const
const denied = new Forbidden({ ...call, code: 403, reason: "Forbidden", detail: "no deletions on Fridays" })
const failed = new Unreachable({ ...call, detail: "HTTP 500: failed calling webhook \"validate.example\"", answered: true })

/** A cluster with a task and its Job, whose deletion the API server answers so until `mayDelete`, and passes over that task. */
const keeping = Effect.fnUntraced(function*(answer: KubernetesError, seed: Partial<Seed>, jobStatus: object = {}) {
  yield* TestClock.setTime(Date.parse(noon))
  const { kubernetes, server } = instantCluster()
  const may = { create: true, delete: false }
  const seen = { asked: 0, reports: 0, wanted: 0 }
  const deletes: typeof kubernetes.delete = (kind, ...of) =>
    Effect.suspend(() => kind.kind === jobs.kind && !may.delete ? Effect.fail((seen.asked++, answer)) : kubernetes.delete(kind, ...of))
  const creates: typeof kubernetes.create = (kind, ...of) =>
    Effect.suspend(() =>
      kind.kind === agentTasks.kind && !may.create ? Effect.fail((seen.wanted++, answer)) : kubernetes.create(kind, ...of)
    )
  const pool = Layer.mock(Pool, { report: () => Effect.sync(() => void seen.reports++), wait: () => Effect.void })
  const world = make({ ...policy, maxLaunches: 2 })
  const { task } = worldOf({ ...plainSeed, ...seed })
  plantTask(server, world, {
    ...task,
    spec: { ...task.spec, source: seed.pool === true ? { pool: { archiveSha256: Sha256.make("a".repeat(64)) } } : task.spec.source }
  })
  plantJob(server, {}, jobStatus)
  plantSource(server, "infra", "c".repeat(64))
  let heard = "" // of a Job that has not changed, no watch tells again
  const hears = Effect.sync(() => {
    for (const task of server.all(agentTasks)) world.setTask("tasks/task", Option.some(projectTask(task)))
    const [job] = server.all(jobs)
    const { resourceVersion = "gone" } = job?.metadata ?? {}
    if (resourceVersion === heard) return
    heard = resourceVersion
    world.setJob(
      "tasks/agent-job-task",
      Option.map(Option.fromUndefinedOr(job), (_) => ({ taskUid: "task-uid", seen: Result.getOrThrow(projectJob(_)).seen }))
    )
  })
  const reconcile = yield* reconcilerOf({ world, executor: writes, kubernetes: { ...kubernetes, create: creates, delete: deletes }, pool })
  return {
    may,
    seen,
    notes: () => server.all(events).map(({ note }) => note),
    jobs: () => server.all(jobs).map(({ metadata }) => metadata.uid),
    /** Makes passes, each of which hears of what the one before wrote, and returns the status after them. */
    passes: (times: number, pause: "0 seconds" | "10 seconds" | "60 seconds" = "0 seconds") =>
      Effect.map(
        Effect.replicateEffect(Effect.andThen(Effect.andThen(hears, reconcile("tasks/task")), TestClock.adjust(pause)), times),
        () => server.all(agentTasks)[0]?.["status"]
      )
  }
})

describe("a task that is over, and whose Job may not be deleted", () => {
  it.effect.each([{ answer: denied, says: "no deletions on Fridays" }, { answer: failed, says: "failed calling webhook" }])(
    "is reported to its pool all the same, says so in an event, and has its Job deleted once it may be: $answer._tag",
    ({ answer, says }) =>
      Effect.gen(function*() {
        const { jobs, may, notes, passes, seen } = yield* keeping(answer, { life: "failed", pool: true })
        yield* passes(3)
        expect([seen, notes()]).toEqual([{ asked: 1, reports: 1, wanted: 0 }, [expect.stringContaining(says)]])
        yield* passes(3, "60 seconds")
        expect([seen.asked, notes().length, jobs()]).toEqual([3, 1, ["job-uid"]])
        may.delete = true
        yield* passes(1)
        expect(jobs()).toEqual([])
      }).pipe(Effect.scoped)
  )

  it.effect("makes the next attempt all the same, and asks for each once in a pass", () =>
    Effect.gen(function*() {
      const { may, notes, passes, seen } = yield* keeping(denied, { life: "failed", source: "known", follows: "plan" })
      may.create = false
      const refused = yield* passes(1, "10 seconds")
      expect([seen.asked, seen.wanted, notes().length]).toEqual([1, 1, 1])
      expect(refused).toMatchObject({ conditions: expect.arrayContaining([expect.objectContaining({ reason: "Refused" })]) })
      may.create = true
      expect(yield* passes(1)).toMatchObject({ phase: "Failed", latest: { attempt: 2, name: "task-2" } })
      expect(seen.asked).toBe(2)
    }).pipe(Effect.scoped))
})

describe("a launch that failed, and whose Job may not be deleted for the next one", () => {
  const launchFailed = [{ life: "evicted", launches: 1, jobAgeSeconds: 10 }, {
    conditions: [{ type: "Failed", status: "True", reason: "BackoffLimitExceeded" }]
  }] as const

  it.effect("says so, and is launched again once it may be", () =>
    Effect.gen(function*() {
      const { jobs, may, passes, seen } = yield* keeping(failed, ...launchFailed)
      const told = yield* passes(60, "10 seconds")
      expect(told).toMatchObject({ phase: "Starting", reason: "Refused", message: expect.stringContaining("failed calling webhook") })
      expect([seen.asked, jobs()]).toEqual([59, ["job-uid"]])
      may.delete = true
      expect(yield* passes(2)).toMatchObject({ phase: "Starting", reason: "JobCreated", launches: 2 })
      expect(jobs()).toHaveLength(1)
      expect(jobs()).not.toEqual(["job-uid"])
    }).pipe(Effect.scoped))

  it.effect("fails once that was denied for as long as a start may take", () =>
    Effect.gen(function*() {
      const { jobs, passes } = yield* keeping(denied, ...launchFailed)
      expect(yield* passes(19, "10 seconds")).toMatchObject({ phase: "Starting", reason: "Refused" })
      expect(yield* passes(1)).toMatchObject({ phase: "Failed", reason: "Denied", message: expect.stringContaining("Fridays") })
      expect(jobs()).toEqual(["job-uid"])
    }).pipe(Effect.scoped))
})
