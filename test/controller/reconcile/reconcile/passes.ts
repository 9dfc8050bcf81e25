// Passes over the tasks of a world, with the product's own executor or one that a test gives. Used by the tests beside it.
import { Context, Duration, Effect, Layer, Logger, Option, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Configuration } from "../../../../src/controller/configuration/configuration.ts"
import { Executor } from "../../../../src/controller/reconcile/execute.ts"
import { Reconciler } from "../../../../src/controller/reconcile/reconcile.ts"
import { make, type World } from "../../../../src/controller/world/world.ts"
import { Kubernetes } from "../../../../src/kubernetes/client.ts"
import { Conflict } from "../../../../src/kubernetes/errors.ts"
import { agentTasks } from "../../../../src/kubernetes/kinds.ts"
import { keyOf } from "../../../../src/kubernetes/object.ts"
import { makeBackoff } from "../../../../src/queue/backoff.ts"
import * as KeyedQueue from "../../../../src/queue/keyed-queue.ts"
import type { AgentTask, AgentTaskStatus } from "../../../../src/schema/task/agent-task.ts"
import { configOf } from "../../../core/configs.ts"
import { plainSeed, policy, worldOf } from "../../../core/worlds.ts"
import type { ApiServer } from "../../../simulation/api-server.ts"
import { instantCluster } from "../../instant-cluster.ts"

const configuration = (values: object) =>
  Layer.succeed(
    Configuration,
    Configuration.of({ current: Effect.succeed(configOf(values)), changes: Stream.never, outdated: Effect.never })
  )

/**
 * An executor that does what a test gives. Else it carries no action out, accepts every notice, and a status that it writes gets the resource
 * version 2.
 */
export const carriesOut = (parts: Partial<Executor["Service"]> = {}) =>
  Layer.succeed(
    Executor,
    Executor.of({ all: () => Effect.succeedNone, say: () => Effect.succeed(true), writeStatus: () => Effect.succeed("2"), ...parts })
  )
/** The product's own executor. */
export const writes = Executor.layer("test")

interface Around {
  readonly world: World
  readonly executor: Layer.Layer<Executor, never, Kubernetes>
  readonly kubernetes?: Kubernetes["Service"]
  readonly pool?: Layer.Layer<never>
  readonly values?: object
}

/** Returns the function that makes a pass over a task of a world. */
export const reconcilerOf = Effect.fnUntraced(
  function*({ executor, kubernetes = instantCluster().kubernetes, pool = Layer.empty, values = {}, world }: Around) {
    const around = Layer.mergeAll(pool, configuration(values), Layer.succeed(Kubernetes, kubernetes))
    const parts = yield* Layer.build(Reconciler.layer(world).pipe(Layer.provide(executor), Layer.provide(around)))
    return Context.get(parts, Reconciler).reconcile
  }
)

/** Returns a world that has this task and nothing else. */
export const holding = (task: AgentTask): World => {
  const world = make(policy)
  world.setTask("tasks/task", Option.some(task))
  return world
}

/** Has the API server store a task, and a world hear of it. */
export const plantTask = (server: ApiServer, world: World, { metadata, spec, status }: AgentTask): void => {
  const { creationTimestamp, name, namespace, uid } = metadata
  server.plant(agentTasks, { metadata: { name, namespace, uid, resourceVersion: "", creationTimestamp }, spec, status })
  world.setTask(keyOf(metadata), Option.some({ metadata: { ...metadata, resourceVersion: String(server.revision) }, spec, status }))
}

/** The answer to a write of a task that somebody else has written since. */
export const conflict = new Conflict({ verb: "update", object: "AgentTask tasks/task", code: 409, reason: "Conflict", detail: "modified" })

/** Makes passes as the product does: again and again, and later each time, while they fail. */
export const queueOf = <E, R>(work: (key: string) => Effect.Effect<Option.Option<Duration.Duration>, E, R>, concurrency = 1) =>
  KeyedQueue.make({ concurrency, work, backoff: makeBackoff(Duration.seconds(1), Duration.minutes(5)) })

/** Makes passes over one task as the queue does. Each status that is written comes back as an event. */
export const driven = Effect.fnUntraced(
  function*(all: Executor["Service"]["all"], { kubernetes, server } = instantCluster(), seed = plainSeed) {
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
    const { add } = yield* queueOf(reconcile)
    const look = Effect.andThen(add("tasks/task"), TestClock.adjust(0))
    const event = (task: AgentTask) => Effect.andThen(Effect.sync(() => world.setTask("tasks/task", Option.some(task))), add("tasks/task"))
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(back), event)))
    yield* event(task)
    yield* look
    return { look, world, written }
  }
)

/** Keeps what is logged, and returns it so far. */
export const logged = () => {
  const said: Array<unknown> = []
  return { said, logger: Logger.layer([Logger.make(({ message }) => said.push(message))]) }
}
