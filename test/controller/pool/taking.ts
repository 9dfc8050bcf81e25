// A controller that takes work from a pool of a test, and an assignment of that pool.
// Used by the tests of what controller/pool takes, accepts and cancels.
import { Effect, Fiber, Layer, Option, Schema, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import { Configuration } from "../../../src/controller/configuration/configuration.ts"
import { poolIntake } from "../../../src/controller/pool/pool-intake.ts"
import { Pool } from "../../../src/controller/pool/pool.ts"
import { make } from "../../../src/controller/world/world.ts"
import { specOf, taskName } from "../../../src/core/task/intake.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { agentTasks } from "../../../src/kubernetes/kinds.ts"
import { Assignment } from "../../../src/schema/api/pool-api.ts"
import type { AgentTaskStatus } from "../../../src/schema/task/agent-task.ts"
import { configOf } from "../../core/configs.ts"
import { noon, policy, success } from "../../core/worlds.ts"
import { instantCluster } from "../instant-cluster.ts"

const configuration = Layer.succeed(
  Configuration,
  Configuration.of({ current: Effect.succeed(configOf()), changes: Stream.never, outdated: Effect.never })
)

/** Takes work from this pool, as a controller does, into the namespace `tasks`. */
export const taking = Effect.fnUntraced(function*(
  pool: Layer.Layer<Pool>,
  kubernetes: Kubernetes["Service"],
  { isDrained = false, drained: given, look = () => Effect.void, world = make(policy) }:
    & Partial<Pick<Parameters<typeof poolIntake>[0], "drained" | "look" | "world">>
    & { readonly isDrained?: boolean } = {}
) {
  const drained = given ?? (yield* SubscriptionRef.make(isDrained))
  return yield* poolIntake({ url: "http://pool", namespace: "tasks", identity: "test", world, look, drained }).pipe(
    Effect.provide([pool, configuration, Layer.succeed(Kubernetes, kubernetes)]),
    Effect.forkChild
  )
})

export const assignment = Schema.decodeUnknownSync(Assignment)({
  id: "run-1.plan.1",
  runId: "run-1",
  workspace: "demo",
  stage: "plan",
  attempt: 1,
  archiveSha256: "b".repeat(64),
  taskToken: "token"
})

export const ofAssignment = specOf(assignment, "http://pool")

/** Plants the assignment's task with this status, or another task of its name. */
export const plant = (
  server: ReturnType<typeof instantCluster>["server"],
  status: AgentTaskStatus,
  uid = "task-uid",
  spec: object = ofAssignment
) =>
  server.plant(agentTasks, {
    metadata: { name: taskName(assignment), namespace: "tasks", uid, resourceVersion: "", creationTimestamp: noon },
    spec,
    status
  })

/** Reports whether the assignment's task was cancelled. */
export const isCalledOff = (server: ReturnType<typeof instantCluster>["server"]): boolean =>
  server.all(agentTasks).some(({ spec }) => JSON.stringify(spec).includes("\"cancel\":true"))

/**
 * Returns what the pool is told, in order, when it offers or cancels a stage whose task has `status`, or of whose name there is another
 * task, and whether the task was cancelled.
 */
export const toldOf = Effect.fnUntraced(function*(by: "an offer" | "a cancellation", status: AgentTaskStatus, spec?: object) {
  const { kubernetes, server } = instantCluster()
  plant(server, status, undefined, spec)
  const told: Array<unknown> = []
  const once = <A>(first: A) => {
    let left = [first]
    return Effect.suspend(() => left.length === 0 ? Effect.never : Effect.succeed(left.splice(0)[0] ?? first))
  }
  const offers = once([assignment])
  const feed = once({ ids: [assignment.id], next: 1 })
  const pool = Layer.mock(Pool, {
    acquire: () => by === "an offer" ? offers : Effect.never,
    cancellations: () => by === "a cancellation" ? feed : Effect.never,
    acknowledge: (id, taskUid) => Effect.sync(() => void told.push(["acknowledge", id, taskUid])),
    report: (id, taskUid, result) => Effect.sync(() => void told.push(["report", id, Option.getOrNull(taskUid), result]))
  })
  const running = yield* taking(pool, kubernetes)
  yield* TestClock.adjust("1 second")
  yield* Fiber.interrupt(running)
  return { told, cancelled: isCalledOff(server) }
})

export const over: AgentTaskStatus = { phase: "Succeeded", result: success, finishedAt: success.finishedAt, reportedAt: noon }

/** A pool that makes these offers, one list after the other, and then none. It is told of nothing but what `also` has. */
export const offering = (offers: ReadonlyArray<Effect.Success<ReturnType<Pool["Service"]["acquire"]>>>, also: Partial<Pool["Service"]>) => {
  const left = [...offers]
  return Layer.mock(Pool, {
    acquire: () =>
      Effect.suspend(() => Option.match(Option.fromUndefinedOr(left.shift()), { onNone: () => Effect.never, onSome: Effect.succeed })),
    cancellations: () => Effect.never,
    ...also
  })
}
