// A namespace of its own on the API server that KUBECONFIG names, in which our CRD serves AgentTasks.
// Used by the tests with a real API server that make AgentTasks.
import { Effect, Schedule } from "effect"
import { randomBytes } from "node:crypto"
import { crd } from "../../../src/core/manifest/installation/crd.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { agentTasks, definitions, namespaces } from "../../../src/kubernetes/kinds.ts"

/** Returns the name of a new namespace, which is deleted with the scope after `leave`. The CRD stays. */
export const servedNamespace = <E>(prefix: string, leave: (namespace: string) => Effect.Effect<void, E, Kubernetes> = () => Effect.void) =>
  Effect.gen(function*() {
    const kubernetes = yield* Kubernetes
    const namespace = `${prefix}-${randomBytes(4).toString("hex")}`
    const { metadata, spec } = crd()
    yield* kubernetes.apply(definitions, { metadata, spec })
    yield* Effect.acquireRelease(
      kubernetes.create(namespaces, { metadata: { name: namespace } }),
      () => Effect.ignore(Effect.andThen(leave(namespace), kubernetes.delete(namespaces, { name: namespace })))
    )
    // Until AgentTasks are served.
    yield* kubernetes.list(agentTasks, { namespace }).pipe(Effect.retry({ times: 300, schedule: Schedule.spaced("100 millis") }))
    return namespace
  })
