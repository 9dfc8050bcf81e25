// Keeps the world in step with the cluster: one informer for each kind puts its events into the world and has their task looked at.
// Looked at as well are the task of which a changed one is an attempt and, when one becomes history, those past the history limit.
// Used by controller/lifecycle/controller.
import { Duration, Effect, Option, Result, type Scope } from "effect"
import { taskSelector } from "../../core/manifest/labels.ts"
import { attemptOf } from "../../core/reconcile/attempts.ts"
import { mayExpire } from "../../core/reconcile/history.ts"
import type { Kubernetes } from "../../kubernetes/client.ts"
import * as Informer from "../../kubernetes/informer.ts"
import { agentTasks, jobs, pods } from "../../kubernetes/kinds.ts"
import type { KubernetesObject } from "../../kubernetes/object.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import { type Projected, projectJob, projectPod, projectTask } from "./project.ts"
import type { World } from "./world.ts"

export interface Mirror {
  readonly synced: Effect.Effect<void>
  /** The kinds whose watch has been silent for too long; empty when all are in step. */
  readonly stale: Effect.Effect<ReadonlyArray<string>>
  /** Never completes; dies with what a resync of one kind died of. */
  readonly resyncs: Effect.Effect<never>
}

/** Returns None for an object that belongs to no task any more, so that it is gone from the world. */
const ofTask = <Seen>(found: Option.Option<Projected<Seen>>) =>
  Option.flatMap(found, ({ seen, taskUid }) => Option.map(taskUid, (taskUid) => ({ seen, taskUid })))

/** Reports whether one more task counts as history: this one, which may go from now on, or the attempt that is no longer its newest. */
const addsToHistory = (before: AgentTask, after: AgentTask): boolean =>
  (mayExpire(after) && !mayExpire(before)) || before.status.latest?.name !== after.status.latest?.name

export const mirror = Effect.fnUntraced(function*(
  world: World,
  namespace: string,
  enqueue: (key: string) => Effect.Effect<void>,
  tellNotUnderstood: (task: KubernetesObject) => Effect.Effect<void>
): Effect.fn.Return<Mirror, never, Kubernetes | Scope.Scope> {
  const enqueueOwner = (uid: Option.Option<string>) =>
    Option.match(Option.flatMap(uid, world.cache.keyOf), { onNone: () => Effect.void, onSome: enqueue })

  const taskChanged = (key: string, task: Option.Option<AgentTask>) =>
    Effect.suspend(() => {
      const before = world.cache.task(key)
      world.setTask(key, task)
      const moreHistory = Option.filter(task, (task) => Option.exists(before, (before) => addsToHistory(before, task)))
      const follower = Option.flatMap(Option.flatMap(Option.orElse(task, () => before), attemptOf), world.cache.keyOf)
      const old = Option.toArray(moreHistory).flatMap(({ spec }) => world.pastHistory.keysIn(spec.workspace))
      return Effect.forEach([key, ...Option.toArray(follower), ...old], enqueue, { discard: true })
    })

  const tasks = yield* Informer.make({
    kind: agentTasks,
    namespace,
    project: projectTask,
    leftOut: tellNotUnderstood,
    changed: taskChanged
  })
  const ours = { namespace, labelSelector: taskSelector }
  const ourJobs = yield* Informer.make({
    ...ours,
    kind: jobs,
    project: (object) => Result.getOrThrow(projectJob(object)),
    changed: (key, job) => Effect.suspend(() => enqueueOwner(world.setJob(key, ofTask(job))))
  })
  const ourPods = yield* Informer.make({
    ...ours,
    kind: pods,
    project: (object) => Result.getOrThrow(projectPod(object)),
    changed: (key, pod) => Effect.suspend(() => enqueueOwner(world.setPod(key, ofTask(pod))))
  })
  const all: ReadonlyArray<readonly [string, Informer.Informer]> = [["tasks", tasks], ["Jobs", ourJobs], ["Pods", ourPods]]
  return {
    resyncs: Effect.raceAllFirst(all.map(([, { resyncs }]) => resyncs)),
    synced: Effect.forEach(all, ([, { synced }]) => synced, { discard: true }),
    stale: Effect.map(
      Effect.filter(
        all,
        ([, { silence }]) => Effect.map(silence, (_) => Duration.isGreaterThan(_, Duration.times(Informer.longestWatch, 2)))
      ),
      (silent) => silent.map(([name]) => name)
    )
  }
})
