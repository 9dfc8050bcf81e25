import { expect, layer } from "@effect/vitest"
import { Effect, Predicate, Result, Schedule } from "effect"
import { randomBytes } from "node:crypto"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { make } from "../../src/kubernetes/informer.ts"
import { configMaps, definitions } from "../../src/kubernetes/kinds.ts"
import type { KubernetesObject } from "../../src/kubernetes/object.ts"
import { until } from "../until.ts"
import { Cluster, RealCluster } from "./real-cluster.ts"
import { tell } from "./told-objects.ts"

layer(RealCluster, { excludeTestServices: true })("an informer of a real API server", (it) => {
  it.effect("mirrors what it selects, page by page and then live", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Cluster
      const kubernetes = yield* Kubernetes
      const put = (name: string, value: string, labels: Record<string, string> = { mirrored: "" }) =>
        kubernetes.apply(configMaps, { metadata: { namespace, name, labels }, data: { value } })
      yield* put("one", "1")
      yield* put("two", "2")
      yield* put("hidden", "3", {})
      const changed: Array<string> = []
      const objects = new Map<string, Pick<KubernetesObject, "data" | "metadata">>()
      const informer = yield* make({
        kind: configMaps,
        namespace,
        labelSelector: "mirrored",
        project: ({ data, metadata }) => ({ data, metadata }),
        changed: (key, seen) =>
          Effect.sync(() => {
            changed.push(key)
            tell(objects, key, seen)
          })
      })
      yield* informer.synced
      expect([...objects.keys()].sort()).toEqual([`${namespace}/one`, `${namespace}/two`])
      yield* put("one", "changed")
      yield* put("three", "3")
      yield* kubernetes.delete(configMaps, { namespace, name: "two" })
      yield* put("hidden", "shown")
      yield* until(() => objects.has(`${namespace}/hidden`) && !objects.has(`${namespace}/two`))
      yield* put("hidden", "left the selection", {})
      yield* until(() => !objects.has(`${namespace}/hidden`))
      const one = objects.get(`${namespace}/one`)
      expect(one?.data).toEqual({ value: "changed" })
      expect(one?.metadata).not.toHaveProperty("managedFields")
      expect(changed.slice(2).map((key) => key.split("/")[1])).toEqual(["one", "three", "two", "hidden", "hidden"])
    }))

  it.effect("takes what the API server tells after a CRD was replaced by an older one, and what it tells once that is put right", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Cluster
      const kubernetes = yield* Kubernetes
      const group = `t${randomBytes(4).toString("hex")}.test.agent-job.io`
      const crd = (fields: ReadonlyArray<string>) => ({
        metadata: { name: `things.${group}` },
        spec: {
          group,
          scope: "Namespaced",
          names: { kind: "Thing", plural: "things" },
          versions: [{
            name: "v1",
            served: true,
            storage: true,
            schema: {
              openAPIV3Schema: {
                type: "object",
                properties: { spec: { type: "object", properties: Object.fromEntries(fields.map((_) => [_, { type: "string" }])) } }
              }
            }
          }]
        }
      })
      const things = { apiVersion: `${group}/v1`, kind: "Thing", plural: "things", decode: Result.succeed }
      yield* Effect.acquireRelease(
        kubernetes.create(definitions, crd(["first", "later"])),
        () => Effect.ignore(kubernetes.delete(definitions, { name: `things.${group}` }))
      )
      yield* kubernetes.create(things, { metadata: { name: "one", namespace }, spec: { first: "1", later: "2" } }).pipe(
        Effect.retry({ times: 300, schedule: Schedule.spaced("100 millis") }) // until they are served
      )
      let fields: ReadonlyArray<string> = []
      const informer = yield* make({
        kind: things,
        namespace,
        project: ({ spec }) => Predicate.isObject(spec) ? Object.keys(spec) : [],
        changed: (_, seen) => Effect.sync(() => void (fields = seen._tag === "Some" ? seen.value : []))
      })
      yield* informer.synced
      expect(fields).toEqual(["first", "later"])
      yield* kubernetes.apply(definitions, crd(["first"]))
      yield* until(() => fields.length === 1)
      yield* kubernetes.apply(definitions, crd(["first", "later"]))
      yield* until(() => fields.length === 2)
    }))
})
