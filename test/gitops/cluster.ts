// The cluster as these tests see it: kubectl, waits with a deadline, and a stand-in for the kubelet, which a control plane lacks.
// Used by the tests beside it, of Flux and of Argo CD.
import { Effect, Predicate, Schedule } from "effect"
import { execFileSync } from "node:child_process"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { deployments, type Kind, namespaces, pods } from "../../src/kubernetes/kinds.ts"
import { established } from "../established.ts"
import { tellStatus } from "../kubernetes/tell-status.ts"

export const statefulSets: Kind = { ...deployments, kind: "StatefulSet", plural: "statefulsets" }
export const roleBindings: Kind = { ...namespaces, apiVersion: "rbac.authorization.k8s.io/v1", kind: "RoleBinding", plural: "rolebindings" }
export const definitions: Kind = {
  ...namespaces,
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions"
}

export const crdName = "atasks.scalr.io"
export const productNamespace = "agent-job"
export const controllerPlace = { name: "agent-job-controller", namespace: productNamespace }

export const kubectl = (args: ReadonlyArray<string>, input = ""): string =>
  execFileSync("kubectl", args, { encoding: "utf8", input, maxBuffer: 2 ** 26, stdio: ["pipe", "pipe", "pipe"] })

/** Removes the CRD, with the annotation that its guard asks for, because another test may have installed the guard. */
export const removeDefinition = (): void => {
  kubectl(["annotate", "crd", "--all", "--overwrite", "scalr.io/delete-all-tasks=true"])
  kubectl(["delete", "crd", "atasks.scalr.io", "--ignore-not-found"])
}

/** Installs CRDs and waits until they are served. */
export const installDefinitions = (path: string): void => {
  kubectl(["apply", "--server-side", "--force-conflicts", "-f", path])
  for (const state of established) {
    kubectl(["wait", `--for=${state}`, "--timeout=300s", "-f", path])
  }
}

/** Runs a command that the API server should refuse, and returns the server's words. */
export const refused = (args: ReadonlyArray<string>, input = ""): string => {
  try {
    return `not refused: ${kubectl(args, input)}`
  } catch (error) {
    return String(at(error, "stderr"))
  }
}

/** Stands in for the kubelet: makes every Pod of the installation ready as soon as it exists. */
export const runPods = Effect.gen(function*() {
  const kubernetes = yield* Kubernetes
  const conditions = [{ type: "Ready", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" }]
  const look = Effect.gen(function*() {
    const { items } = yield* kubernetes.list(pods, { namespace: "agent-job", fieldSelector: "status.phase=Pending" })
    yield* Effect.forEach(
      items,
      ({ metadata: { name } }) => tellStatus(pods, { name, namespace: "agent-job" }, { phase: "Running", conditions }),
      { discard: true }
    )
  })
  yield* Effect.ignore(look).pipe(Effect.repeat(Schedule.spaced("200 millis")), Effect.forkScoped)
})

/** Reads until what was read is as wanted; fails after five minutes with what was seen last. */
export const until = <A, E, R>(what: string, read: Effect.Effect<A, E, R>, wanted: (seen: A) => boolean): Effect.Effect<A, E, R> => {
  let last: A | undefined
  return Effect.map(read, (_) => (last = _)).pipe(
    Effect.repeat({ until: wanted, schedule: Schedule.spaced("100 millis") }),
    Effect.timeoutOrElse({
      duration: "5 minutes",
      orElse: () => Effect.die(new Error(`${what} did not come about; last seen: ${JSON.stringify(last)}`))
    })
  )
}

export const isThere = Effect.fnUntraced(
  function*(kind: Kind, name: string, namespace?: string): Effect.fn.Return<boolean, never, Kubernetes> {
    return yield* (yield* Kubernetes).get(kind, { name, ...(namespace !== undefined && { namespace }) }).pipe(
      Effect.as(true),
      Effect.orElseSucceed(() => false)
    )
  }
)

/** Returns the value at a path of an object, or undefined. */
export const at = (object: unknown, ...path: ReadonlyArray<string | number>): unknown =>
  path.reduce<unknown>((value, key) => Predicate.hasProperty(value, key) ? value[key] : undefined, object)
