// A namespace and a custom resource of its own in the API server that KUBECONFIG names, both gone afterwards.
// The custom resource has a status, a validation rule and no history, and it takes a real API server to judge what these mean.
// Used by the *.cluster.test.ts files of this folder.
import { Context, Effect, Layer, Schedule } from "effect"
import { randomBytes } from "node:crypto"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { definitions, type Kind, namespaces } from "../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"

export class Cluster extends Context.Service<Cluster, { readonly namespace: string; readonly things: Kind }>()("test/Cluster") {}

const openAPIV3Schema = {
  type: "object",
  properties: {
    spec: {
      type: "object",
      properties: { size: { type: "integer", maximum: 10 }, name: { type: "string" } },
      "x-kubernetes-validations": [{ rule: "self.size != 3", message: "three is taken" }]
    },
    status: { type: "object", properties: { phase: { type: "string" }, note: { type: "string" } } }
  }
}

const cluster = Layer.effect(
  Cluster,
  Effect.gen(function*() {
    const kubernetes = yield* Kubernetes
    const suffix = randomBytes(4).toString("hex")
    const namespace = `test-kubernetes-${suffix}`
    const group = `t${suffix}.test.agent-job.io`
    const things: Kind = { ...namespaces, apiVersion: `${group}/v1`, kind: "Thing", plural: "things" }
    yield* Effect.acquireRelease(
      kubernetes.create(namespaces, { metadata: { name: namespace } }),
      () => Effect.ignore(kubernetes.delete(namespaces, { name: namespace }))
    )
    yield* Effect.acquireRelease(
      kubernetes.create(definitions, {
        metadata: { name: `things.${group}` },
        spec: {
          group,
          scope: "Namespaced",
          names: { kind: "Thing", plural: "things" },
          versions: [{ name: "v1", served: true, storage: true, subresources: { status: {} }, schema: { openAPIV3Schema } }]
        }
      }),
      () => Effect.ignore(kubernetes.delete(definitions, { name: `things.${group}` }))
    )
    // Until the resource is served.
    yield* kubernetes.list(things, { namespace }).pipe(Effect.retry({ times: 300, schedule: Schedule.spaced("100 millis") }))
    return { namespace, things }
  })
)

/** A client with the credentials of KUBECONFIG, and a namespace and a custom resource of its own in that cluster. */
export const RealCluster = cluster.pipe(Layer.provideMerge(Kubernetes.layer(fromKubeconfig())), Layer.orDie)
