import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { make } from "../../src/kubernetes/informer.ts"
import { configMaps } from "../../src/kubernetes/kinds.ts"
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
})
