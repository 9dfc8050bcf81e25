// Compares the model's Job controller and garbage collection with the real ones, for one Job after another, whose Pods nobody runs.
import { describe, expect, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Ref, Schedule, Stream } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import type { KubernetesError } from "../../src/kubernetes/errors.ts"
import { jobs, type Kind, pods } from "../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import type { KubernetesObject, WatchEvent } from "../../src/kubernetes/object.ts"
import { servedNamespace } from "../core/manifest/served-namespace.ts"
import { ApiServer } from "./api-server.ts"
import { clientOf } from "./client.ts"
import { Cluster } from "./cluster.ts"
import { same } from "./same.ts"

class Place extends Context.Service<Place, { readonly namespace: string }>()("test/Place") {}

const Real = Layer.effect(Place, Effect.map(servedNamespace("test-model"), (namespace) => ({ namespace }))).pipe(
  Layer.provideMerge(Kubernetes.layer(fromKubeconfig())),
  Layer.orDie
)

/** A cluster; `turn` lets its controllers go on. */
interface Side {
  readonly kubernetes: Kubernetes["Service"]
  readonly namespace: string
  readonly turn: Effect.Effect<void>
}

const model = (namespace: string): Side => {
  let now = Date.parse("2026-01-01T12:00:00Z")
  const server = new ApiServer(() => now)
  const { kubernetes, watches } = clientOf(server, { ask: (_, answer) => Effect.suspend(() => answer("none")) })
  const cluster = new Cluster({ server, now: () => now, start: () => expect.fail("no node is here"), engineOf: () => undefined })
  const turn = Effect.gen(function*() {
    now += 1000
    for (let syncs = 0; syncs < 2; syncs++) for (const job of cluster.jobs) cluster.lookAtJob(job) // more often than garbage is collected
    for (const job of cluster.jobs) cluster.expireJob(job)
    cluster.collect()
    for (const watch of watches) watch.deliver(Infinity)
    yield* Effect.yieldNow
  })
  return { kubernetes, namespace, turn }
}

interface Status {
  readonly conditions?: ReadonlyArray<{ readonly type: string; readonly status: string; readonly reason?: string }>
  readonly phase?: string
}
const statusOf = (object: KubernetesObject) => (object["status"] ?? {}) as Status

/** Returns what a watch of Jobs or Pods tells of each that can be compared, without what changes nothing of it. */
const traceOf = (events: ReadonlyArray<WatchEvent>) => {
  const before = new Map<string, unknown>()
  const told = events.flatMap((event) => {
    if (event.type === "BOOKMARK") return []
    const { kind, metadata: { deletionTimestamp, finalizers = [], ownerReferences = [], uid } } = event.object
    const { conditions = [], phase } = statusOf(event.object)
    const now = kind === "Pod"
      ? { phase, owners: ownerReferences.map(({ controller, kind }) => ({ controller, kind })) }
      : {
        deleting: deletionTimestamp !== undefined,
        conditions: conditions.filter(({ status }) => status === "True").map(({ reason, type }) => `${type} ${reason}`)
      }
    if (event.type === "MODIFIED" && same(before.get(uid), now)) return []
    before.set(uid, now)
    return [{ uid, told: { type: event.type, ...now, ...(event.type === "ADDED" && { finalizers }) } }]
  })
  return [...Map.groupBy(told, ({ uid }) => uid).values()].map((ofOne) => ofOne.map(({ told }) => told))
}

const template = (labels: object) => ({
  metadata: { labels },
  spec: { restartPolicy: "Never", schedulerName: "nobody", containers: [{ name: "worker", image: "nowhere.invalid/worker" }] }
})
const rules = [
  { action: "Ignore", onExitCodes: { containerName: "worker", operator: "In", values: [75] } },
  { action: "FailJob", onExitCodes: { containerName: "worker", operator: "In", values: [3] } }
]

/** What is done to the newest Pod of the Job, or to the Job itself. */
type Act = { readonly exits: number } | { readonly deletes: "Pod" | "Job" }
interface Life {
  readonly acts: ReadonlyArray<Act>
  readonly activeDeadlineSeconds?: number
}

/** Makes a Job, does each thing once there is a Pod that is not over, and waits until Job and Pods are gone; returns what watches tell. */
const live = Effect.fnUntraced(function*(
  { kubernetes, namespace, turn }: Side,
  name: string,
  { acts, activeDeadlineSeconds = 600 }: Life
) {
  const labelSelector = `life=${name}`
  const watched = (kind: Kind) =>
    Effect.gen(function*() {
      const told = yield* Ref.make<ReadonlyArray<WatchEvent>>([])
      const { resourceVersion } = yield* kubernetes.list(kind, { namespace, labelSelector })
      const { watched: _, ...whole } = kind // in JSON, which has all fields
      const fiber = yield* kubernetes.watch(whole, { namespace, labelSelector, resourceVersion }).pipe(
        Stream.runForEach((event) => Ref.update(told, (before) => [...before, event])),
        Effect.forkChild
      )
      return { told, fiber }
    })
  const [ofJob, ofPods] = [yield* watched(jobs), yield* watched(pods)]
  const labels = { life: name }
  const place = { name, namespace }
  yield* kubernetes.create(jobs, {
    metadata: { ...place, labels },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds,
      ttlSecondsAfterFinished: 1,
      podReplacementPolicy: "Failed",
      podFailurePolicy: { rules },
      template: template(labels)
    }
  })
  const all = (kind: Kind) => Effect.map(kubernetes.list(kind, { namespace, labelSelector }), ({ items }) => items)
  const wait = <A>(ask: Effect.Effect<A, KubernetesError>, holds: (answer: A) => boolean) =>
    Effect.flatMap(turn, () => ask).pipe(Effect.repeat({ until: holds, schedule: Schedule.spaced("10 millis") }))
  for (const act of acts) {
    const [pod] = yield* wait(
      Effect.map(all(pods), (found) => found.filter((_) => _.metadata.deletionTimestamp === undefined && statusOf(_).phase === "Pending")),
      ({ length }) => length > 0
    )
    if (pod === undefined) throw new Error("no Pod was made")
    if ("deletes" in act) {
      yield* act.deletes === "Job" ? kubernetes.delete(jobs, place) : kubernetes.delete(pods, { name: pod.metadata.name, namespace })
    } else {
      const terminated = { exitCode: act.exits, reason: act.exits === 0 ? "Completed" : "Error" }
      const container = { name: "worker", image: "", imageID: "", ready: false, restartCount: 0, state: { terminated } }
      const status = { phase: act.exits === 0 ? "Succeeded" : "Failed", containerStatuses: [container] }
      yield* kubernetes.updateStatus(pods, { ...pod, status })
    }
  }
  yield* wait(Effect.all([all(jobs), all(pods)]), ([left, leftPods]) => left.length + leftPods.length === 0)
  yield* turn
  yield* wait(Ref.get(ofJob.told), (told) => told.at(-1)?.type === "DELETED")
  yield* wait(Ref.get(ofPods.told), (told) => told.at(-1)?.type === "DELETED")
  yield* Effect.all([Fiber.interrupt(ofJob.fiber), Fiber.interrupt(ofPods.fiber)])
  return { job: traceOf(yield* Ref.get(ofJob.told)), pods: traceOf(yield* Ref.get(ofPods.told)) }
})

const lives: Readonly<Record<string, Life>> = {
  "fails by a rule": { acts: [{ exits: 3 }] },
  "fails at its only try": { acts: [{ exits: 1 }] },
  "is done": { acts: [{ exits: 0 }] },
  "is deleted": { acts: [{ deletes: "Job" }] },
  "has another Pod after one that does not count": { acts: [{ exits: 75 }, { exits: 0 }] },
  "has its Pod deleted before that has a node": { acts: [{ deletes: "Pod" }] },
  "is not done in time": { acts: [], activeDeadlineSeconds: 2 }
}

layer(Real, { excludeTestServices: true })("a Job", (it) => {
  describe("is told of alike by a real cluster and the model when it", () => {
    Object.entries(lives).forEach(([what, life], nth) =>
      it.effect(what, () =>
        Effect.gen(function*() {
          const { namespace } = yield* Place
          const kubernetes = yield* Kubernetes
          const really = yield* live({ kubernetes, namespace, turn: Effect.void }, `job-${nth}`, life)
          expect(yield* live(model(namespace), `job-${nth}`, life)).toEqual(really)
        }))
    )
  })
})
