// When the world is in step, and what the events of one task mean for others: its former attempts, and the task that made it.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import { mirror } from "../../../src/controller/world/mirror.ts"
import { make } from "../../../src/controller/world/world.ts"
import { taskSelector, taskUidLabel } from "../../../src/core/manifest/labels.ts"
import { attemptName } from "../../../src/core/reconcile/attempts.ts"
import { mostFinished } from "../../../src/core/reconcile/history.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { longestWatch } from "../../../src/kubernetes/informer.ts"
import { agentTasks, jobs, pods } from "../../../src/kubernetes/kinds.ts"
import type { OwnerReference, WatchEvent } from "../../../src/kubernetes/object.ts"
import { Sha256 } from "../../../src/schema/names.ts"
import type { AgentTaskStatus } from "../../../src/schema/task/agent-task.ts"
import { noon, plainSeed, policy, type Seed, worldOf } from "../../core/worlds.ts"

const event = (
  type: "ADDED" | "MODIFIED" | "DELETED",
  name: string,
  resourceVersion: string,
  seed: Partial<Seed>,
  more: AgentTaskStatus = {}
): Extract<WatchEvent, { readonly type: "ADDED" | "MODIFIED" | "DELETED" }> => {
  const { metadata: { ownerReferences: _, ...metadata }, spec, status } = worldOf({ ...plainSeed, ...seed }).task
  return { type, object: { metadata: { ...metadata, name, uid: `${name}-uid`, resourceVersion }, spec, status: { ...status, ...more } } }
}
const whole: WatchEvent = { type: "BOOKMARK", resourceVersion: "3", whole: true }

/** Keeps a world in step with a cluster in which the test tells what happens to one kind; there is nothing of the others. */
const mirrored = Effect.fnUntraced(function*({ plural }: { readonly plural: string }, world = make(policy)) {
  const queue = yield* Queue.unbounded<WatchEvent>()
  const selected: Record<string, unknown> = {}
  const kubernetes = Layer.mock(Kubernetes, {
    namespace: "tasks",
    list: (kind) => kind.plural === plural ? Effect.never : Effect.succeed({ items: [], resourceVersion: "3", continue: undefined }),
    watch: (kind, { labelSelector, namespace }) => {
      selected[kind.plural] = [namespace, labelSelector]
      return kind.plural === plural ? Stream.fromQueue(queue) : Stream.concat(Stream.make(whole), Stream.never)
    }
  })
  const [looks, leftOut]: [Array<string>, Array<string>] = [[], []]
  const look = (key: string) => Effect.sync(() => void looks.push(key))
  const { stale, synced } = yield* Effect.provide(
    mirror(world, "tasks", look, ({ metadata }) => Effect.sync(() => void leftOut.push(metadata.name))),
    kubernetes
  )
  return { queue, looks, leftOut, selected, stale, synced }
})

describe("the world", () => {
  it.effect.each([{ kind: agentTasks }, { kind: jobs }, { kind: pods }])(
    "is in step only once it has the $kind.plural too",
    ({ kind }) =>
      Effect.gen(function*() {
        const { queue, synced } = yield* mirrored(kind)
        const waiting = yield* Effect.forkChild(synced)
        yield* TestClock.adjust("1 second")
        expect(waiting.pollUnsafe()).toBeUndefined()
        yield* Queue.offer(queue, whole)
        yield* TestClock.adjust("1 second")
        expect(waiting.pollUnsafe()).toBeDefined()
      }).pipe(Effect.scoped)
  )
})

describe("what is watched", () => {
  it.effect("is each task of the namespace, and of the Jobs and Pods there those of tasks", () =>
    Effect.gen(function*() {
      const { queue, selected, synced } = yield* mirrored(agentTasks)
      yield* Queue.offer(queue, whole)
      yield* synced
      expect(selected).toEqual({ atasks: ["tasks", undefined], jobs: ["tasks", taskSelector], pods: ["tasks", taskSelector] })
    }).pipe(Effect.scoped))

  it.effect("is out of step once it was silent for as long as two watches may last", () =>
    Effect.gen(function*() {
      const { stale } = yield* mirrored(jobs)
      yield* TestClock.adjust(longestWatch)
      yield* TestClock.adjust(longestWatch)
      expect(yield* stale).toEqual([])
      yield* TestClock.adjust("1 second")
      expect(yield* stale).toEqual(["Jobs"])
    }).pipe(Effect.scoped))
})

describe("a task that only a newer version understands", () => {
  it.effect("is told once for each version of it, and keeps no other out of the world", () =>
    Effect.gen(function*() {
      const world = make(policy)
      const { leftOut, queue } = yield* mirrored(agentTasks, world)
      const { object, type } = event("ADDED", "newer", "4", {})
      const newer: WatchEvent = { type, object: { ...object, spec: { stage: "refresh" } } }
      yield* Queue.offerAll(queue, [whole, newer, newer, event("ADDED", "plain", "5", {})])
      yield* TestClock.adjust("1 second")
      expect([leftOut, [...world.cache.tasks()].map(([key]) => key)]).toEqual([["newer"], ["tasks/plain"]])
    }).pipe(Effect.scoped))
})

describe("a task that becomes history", () => {
  it.effect("has the oldest looked at, which it puts past the limit of the installation, in whatever workspace that is", () =>
    Effect.gen(function*() {
      const { plans } = mostFinished
      const source = { pool: { archiveSha256: "0".repeat(64) } }
      const finished = (index: number, resourceVersion: string, life: Seed["life"] = "succeeded"): WatchEvent => {
        const { metadata: { ownerReferences: _, ...metadata }, spec, status } =
          worldOf({ ...plainSeed, life, pool: true, reported: life === "succeeded" }).task
        const named = {
          name: `task-${index}`,
          uid: `uid-${index}`,
          creationTimestamp: new Date(Date.UTC(2026, 0, 1, 0, index)).toISOString()
        }
        return {
          type: "MODIFIED",
          object: {
            metadata: { ...metadata, ...named, resourceVersion },
            spec: { ...spec, source, workspace: `workspace-${index}` },
            status
          }
        }
      }
      const { looks, queue, synced } = yield* mirrored(agentTasks)
      yield* Queue.offerAll(queue, [...Array(plans).keys()].map((index) => finished(index, "1")))
      yield* Queue.offerAll(queue, [finished(plans, "2", "claimed"), whole])
      yield* synced
      looks.length = 0
      yield* Queue.offer(queue, finished(plans, "4"))
      yield* TestClock.adjust("1 second")
      expect(looks).toContain("tasks/task-0")
    }).pipe(Effect.scoped))
})

describe("a follower", () => {
  const seed: Partial<Seed> = { source: "known", life: "failed", follows: "plan" }
  const sha256 = Sha256.make("0".repeat(64))
  const follower = (attempt: number): WatchEvent =>
    event("MODIFIED", "task", `${attempt}`, seed, { latest: { attempt, name: attemptName("task", attempt), sha256 } })
  const controller = { apiVersion: "scalr.io/v1", kind: "AgentTask", name: "task", uid: "task-uid", controller: true }
  const ended = (attempt: number, type: "ADDED" | "MODIFIED" | "DELETED" = "ADDED", resourceVersion = "1"): WatchEvent => {
    const { task: { metadata, spec, status } } = worldOf({ ...plainSeed, ...seed, follows: "no" })
    const name = attemptName("task", attempt)
    return {
      type,
      object: {
        metadata: { ...metadata, name, uid: `${name}-uid`, resourceVersion, ownerReferences: [controller] },
        spec: { ...spec, attempt },
        status
      }
    }
  }

  it.effect("is looked at when its attempt changes, and when that goes", () =>
    Effect.gen(function*() {
      const { looks, queue, synced } = yield* mirrored(agentTasks)
      yield* Queue.offerAll(queue, [follower(3), ended(3), whole])
      yield* synced
      for (const type of ["MODIFIED", "DELETED"] as const) {
        looks.length = 0
        yield* Queue.offer(queue, ended(3, type, "4"))
        yield* TestClock.adjust("1 second")
        expect(looks, type).toEqual(["tasks/task-3", "tasks/task"])
      }
    }).pipe(Effect.scoped))

  it.effect("that makes its next attempt has the oldest looked at, though the next one may never end: a person may delete it", () =>
    Effect.gen(function*() {
      const world = make({ ...policy, historyPerWorkspace: 1 })
      const { looks, queue, synced } = yield* mirrored(agentTasks, world)
      yield* Queue.offerAll(queue, [follower(3), ended(2), ended(3), whole])
      yield* synced
      looks.length = 0
      yield* Queue.offer(queue, follower(4))
      yield* TestClock.adjust("1 second")
      expect(looks).toContain("tasks/task-2")
    }).pipe(Effect.scoped))
})

describe("a Job with the labels of a task", () => {
  const { task } = worldOf(plainSeed)
  const ofTask = [{ apiVersion: "scalr.io/v1", kind: "AgentTask", name: "task", uid: task.metadata.uid, controller: true }]
  const labelled = (name: string, resourceVersion: string, ownerReferences: ReadonlyArray<OwnerReference>): WatchEvent => ({
    type: "MODIFIED",
    object: {
      metadata: {
        name,
        namespace: "tasks",
        uid: name,
        resourceVersion,
        creationTimestamp: noon,
        labels: { [taskUidLabel]: task.metadata.uid },
        ownerReferences
      },
      spec: {}
    }
  })

  it.effect("is its own only as long as it is the Job's controller: a copy hides none, and what somebody took away is gone", () =>
    Effect.gen(function*() {
      const world = make(policy)
      const { looks, queue, synced } = yield* mirrored(jobs, world)
      world.setTask("tasks/task", Option.some(task))
      const known = () => Option.getOrUndefined(world.cache.job(task.metadata.uid))?.name
      yield* Queue.offerAll(queue, [labelled("a-copy", "2", []), whole])
      yield* synced
      expect([known(), looks.splice(0)]).toEqual([undefined, []])
      yield* Queue.offer(queue, labelled("agent-job-task", "4", ofTask))
      yield* TestClock.adjust("1 second")
      expect([known(), looks.splice(0)]).toEqual(["agent-job-task", ["tasks/task"]])
      yield* Queue.offer(queue, labelled("agent-job-task", "5", []))
      yield* TestClock.adjust("1 second")
      expect([known(), world.cache.hadJob(task.metadata.uid), looks]).toEqual([undefined, true, ["tasks/task"]])
    }).pipe(Effect.scoped))
})
