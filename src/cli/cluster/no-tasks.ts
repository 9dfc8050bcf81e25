// Says why a list of AgentTasks is empty: there is no such namespace, or the tasks are in another one, if the caller may read which.
// Used by get.
import { Effect, Option } from "effect"
import { Kubernetes } from "../../kubernetes/client.ts"
import { namespaces } from "../../kubernetes/kinds.ts"
import type { ClusterFlags } from "../flags/settings.ts"
import { NothingThere } from "../terminal/failure.ts"
import { installedTaskNamespace } from "../values/installed-values.ts"
import { contextFlag } from "./cluster.ts"

const installation = { name: "agent-job", namespace: "agent-job" }

/** The task namespace of the installation with the default name; none if its values cannot be read, which few callers may. */
const taskNamespace = Effect.option(installedTaskNamespace(installation.name, installation.namespace, ""))

const elsewhere = (at: ClusterFlags, found: Option.Option<string>): string => {
  if (Option.isNone(found)) return "; list those of another one with --namespace."
  return found.value === at.namespace
    ? "."
    : `; the installation in namespace ${installation.namespace} has its tasks in another one: agent-job get tasks${
      contextFlag(at)
    } --namespace ${found.value}`
}

/** Returns the sentence for an empty list. Fails if there is no such namespace. */
export const noTasks = Effect.fn("noTasks")(function*(at: ClusterFlags) {
  const { namespace } = at
  const more = elsewhere(at, yield* taskNamespace)
  yield* Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.get(namespaces, { name: namespace })).pipe(Effect.catchTags({
    NotFound: () => Effect.fail(new NothingThere({ message: `There is no namespace ${namespace}${more}` })),
    Forbidden: () => Effect.void
  }))
  return `No AgentTasks in namespace ${namespace}${more}`
})
