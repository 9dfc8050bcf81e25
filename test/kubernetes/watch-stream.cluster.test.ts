// Only a real API server can say whether protobuf and JSON tell the same of an object.
import { expect, layer } from "@effect/vitest"
import { Data, Effect, Result, Schema, Stream } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { jobs, type Kind, pods } from "../../src/kubernetes/kinds.ts"
import type { NamespacedName } from "../../src/kubernetes/object.ts"
import { Job, Pod } from "../../src/schema/kubernetes/kubernetes.ts"
import { Cluster, RealCluster } from "./real-cluster.ts"

const template = {
  restartPolicy: "Never",
  containers: [{ name: "worker", image: "nowhere.invalid/worker" }],
  initContainers: [{ name: "install", image: "nowhere.invalid/worker" }, {
    name: "runner",
    image: "nowhere.invalid/runner",
    restartPolicy: "Always"
  }]
}
const at = "2026-01-01T00:00:00Z"
const condition = {
  type: "Ready",
  status: "False",
  reason: "ContainersNotReady",
  message: "containers with unready status: [worker] – ünïcödé"
}
const container = { ready: false, restartCount: 1, image: "nowhere.invalid/worker", imageID: "" }
const podStatus = {
  phase: "Failed",
  reason: "Evicted",
  message: "The node was low on resource: memory.",
  conditions: [condition, { type: "ContainersReady", status: "True" }],
  containerStatuses: [{
    ...container,
    name: "worker",
    state: { terminated: { exitCode: 0, reason: "Completed", message: "{\"outcome\":\"succeeded\"}", startedAt: at, finishedAt: at } },
    lastState: { terminated: { exitCode: 137, reason: "OOMKilled", startedAt: at, finishedAt: at } }
  }],
  initContainerStatuses: [
    { ...container, name: "runner", ready: true, started: false, state: { running: { startedAt: at } } },
    { ...container, name: "install", state: { waiting: { reason: "ImagePullBackOff", message: "Back-off pulling image" } } }
  ]
}

class Changed extends Data.TaggedError("Changed") {}

layer(RealCluster, { excludeTestServices: true })("a watch in protobuf of a real API server", (it) => {
  /** Compares what protobuf and JSON tell of an object. Reads again when the Job controller has written in between. */
  const same = <S extends Schema.ConstraintDecoder<unknown>>(kind: Kind, place: NamespacedName, schema: S) =>
    Effect.gen(function*() {
      const kubernetes = yield* Kubernetes
      const { apiVersion: _, kind: _kind, ...json } = yield* kubernetes.get(kind, place)
      const watched = (watchedKind: Kind) =>
        kubernetes.watch(watchedKind, {
          namespace: place.namespace ?? "",
          resourceVersion: undefined,
          fieldSelector: `metadata.name=${place.name}`
        }).pipe(
          Stream.takeUntil((event) => event.type === "BOOKMARK" && event.whole),
          Stream.runCollect
        )
      const [inProtobuf] = yield* watched(kind)
      const { watched: _table, ...plain } = kind
      const [inJson] = yield* watched(plain)
      if (
        inProtobuf === undefined || inProtobuf.type === "BOOKMARK" || inJson === undefined || inJson.type === "BOOKMARK"
      ) throw new Error("the object is not told of")
      if (inProtobuf.object.metadata.resourceVersion !== json.metadata.resourceVersion) return yield* new Changed()
      const decode = Schema.decodeUnknownResult(schema)
      /** `running` has no fields in the schema, which leaves such an object as it came. */
      const read = (object: unknown): unknown =>
        JSON.parse(JSON.stringify(Result.getOrThrow(decode(object))), (key, value) => key === "running" ? {} : value)
      expect(inJson.object.metadata.managedFields).toBeDefined()
      expect(inProtobuf.object.metadata.managedFields).toBeUndefined()
      expect(inProtobuf.object.metadata.namespace).toBe(place.namespace)
      expect(read(inProtobuf.object)).toEqual(read(json))
    }).pipe(Effect.retry({ while: ({ _tag }) => _tag === "Changed", times: 20 }))

  it.effect("tells of a Pod what its JSON does", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Cluster
      const kubernetes = yield* Kubernetes
      const place = { namespace, name: "told" }
      yield* kubernetes.create(pods, {
        metadata: { ...place, labels: { team: "a", empty: "" }, annotations: { note: "x" } },
        spec: { ...template, nodeName: "node-1" }
      })
      yield* Effect.flatMap(kubernetes.get(pods, place), (made) => kubernetes.updateStatus(pods, { ...made, status: podStatus })).pipe(
        // The controllers that look after nodes may write in between, because there is no such node.
        Effect.retry({ while: ({ _tag }) => _tag === "Conflict", times: 20 })
      )
      yield* same(pods, place, Pod)
    }))

  it.effect("tells of a Job what its JSON does, with its owner and while it is being deleted", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Cluster
      const kubernetes = yield* Kubernetes
      const place = { namespace, name: "told" }
      const owner = {
        apiVersion: "scalr.io/v1",
        kind: "AgentTask",
        name: "demo",
        uid: "00000000-0000-4000-8000-000000000000",
        controller: true
      }
      yield* kubernetes.create(jobs, {
        metadata: {
          ...place,
          annotations: { "scalr.io/config-hash": "abc" },
          ownerReferences: [owner],
          finalizers: ["test.agent-job.io/keep"]
        },
        spec: { suspend: true, template: { spec: template } }
      })
      yield* same(jobs, place, Job)
      yield* kubernetes.delete(jobs, place)
      yield* same(jobs, place, Job)
      const left = yield* kubernetes.get(jobs, place)
      yield* kubernetes.update(jobs, { ...left, metadata: { ...left.metadata, finalizers: [] } })
    }))
})
