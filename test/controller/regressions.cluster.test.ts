// Mistakes that controllers of this kind have made elsewhere, where only a real API server can show that they do not happen here.
import { expect, layer } from "@effect/vitest"
import { Context, Effect, Layer, Option, Stream } from "effect"
import { Configuration } from "../../src/controller/configuration/configuration.ts"
import { Executor } from "../../src/controller/reconcile/execute.ts"
import { Reconciler } from "../../src/controller/reconcile/reconcile.ts"
import { make } from "../../src/controller/world/world.ts"
import type { AgentTask, AgentTaskStatus } from "../../src/schema/task/agent-task.ts"
import { configOf } from "../core/configs.ts"
import { policy } from "../core/worlds.ts"
import { claimWithoutPod, createTask, finish, getTask, jobNames, TaskCluster } from "./task-cluster.ts"

const configuration = Layer.succeed(
  Configuration,
  Configuration.of({ current: Effect.succeed(configOf()), changes: Stream.never, outdated: Effect.never })
)

/** Makes one pass of a controller whose caches know only this copy of a task. */
const passOver = Effect.fnUntraced(function*(stale: AgentTask) {
  const world = make(policy)
  const key = `${stale.metadata.namespace}/${stale.metadata.name}`
  world.setTask(key, Option.some(stale))
  const executor = Executor.layer("stale")
  const parts = yield* Layer.build(Reconciler.layer(world).pipe(Layer.provide(executor), Layer.provide(configuration)))
  yield* Context.get(parts, Reconciler).reconcile(key)
}, Effect.scoped)

const gone = { name: "agent-job-gone" }

/** Copies of a task from different steps on its way to success. Its Job is gone by now; `jobs` says how many there are after the pass. */
const copies: ReadonlyArray<{ readonly seen: string; readonly status: AgentTaskStatus | undefined; readonly jobs: number }> = [
  { seen: "starting", status: { phase: "Starting", reason: "JobCreated", message: "Starts.", launches: 1, job: gone }, jobs: 0 },
  { seen: "running", status: undefined, jobs: 0 },
  // Nothing that these copies know speaks against a start, so a Job is made. The claim stops it: the Job's worker exits with 75.
  { seen: "new", status: {}, jobs: 1 },
  {
    seen: "queued",
    status: {
      phase: "Queued",
      reason: "QuotaExceeded",
      message: "Waits.",
      queue: { position: 1, reason: "QuotaExceeded" },
      launches: 1,
      job: { ...gone, replacedFor: "LaunchFailed" }
    },
    jobs: 1
  }
]

layer(TaskCluster, { timeout: 300_000, excludeTestServices: true })("here not:", (it) => {
  it.effect.each(copies)(
    "a task was run again that had finished, but that a stale cache still showed as $seen",
    ({ jobs, seen, status }) =>
      Effect.gen(function*() {
        const name = `was-${seen}`
        yield* createTask(name)
        const running = yield* claimWithoutPod(name)
        yield* finish(name)
        const before = yield* getTask(name)
        expect(before.status.phase).toBe("Succeeded")
        yield* passOver(status === undefined ? running : { ...running, status })
        expect(yield* getTask(name)).toEqual(before)
        expect((yield* jobNames).filter((job) => job === `agent-job-${name}`)).toHaveLength(jobs)
        expect(yield* Effect.flip(claimWithoutPod(name))).toMatchObject({ _tag: "Invalid" })
      })
  )
})
