// Writes the status of an AgentTask against the resource version that was read, for the controller and the worker.
// Invariant: an end is stored as far as an older CRD knows it, as it must be told; any other status is stored whole or refused.
// Used by controller/reconcile/execute and worker/task/task-kind.
import { Effect, Option } from "effect"
import type { AgentTask, AgentTaskStatus } from "../schema/task/agent-task.ts"
import type { Kubernetes } from "./client.ts"
import type { KubernetesError } from "./errors.ts"
import type { Kind } from "./kinds.ts"

/** A task as it was read; its spec may be one that is not understood. */
export type Stored = Pick<AgentTask, "metadata" | "status"> & { readonly spec: unknown }

/** Returns the fields of the status whose value is in no list of the CRD. */
const unsupported = (error: KubernetesError): ReadonlyArray<string> =>
  error._tag === "Invalid" ? error.causes.filter(({ reason }) => reason === "FieldValueNotSupported").map(({ field }) => field) : []

/** `end` is there if this write ends the task: it returns what to write if an older CRD does not have the values of these fields. */
export const writeStatus = <A>(
  kubernetes: Kubernetes["Service"],
  kind: Kind<A>,
  { metadata: { name, namespace, resourceVersion, uid }, spec }: Stored,
  status: AgentTaskStatus,
  end: Option.Option<(fields: ReadonlyArray<string>) => Option.Option<AgentTaskStatus>>
): Effect.Effect<A, KubernetesError> => {
  // The API server ignores the spec, but the object has to be valid.
  const write = (status: AgentTaskStatus) =>
    kubernetes.updateStatus(
      kind,
      { metadata: { name, namespace, resourceVersion, uid }, spec, status },
      Option.isSome(end) ? "Warn" : "Strict"
    )
  return Effect.catch(write(status), (error) =>
    Option.match(Option.flatMap(end, (inPlainReasons) => inPlainReasons(unsupported(error))), {
      onNone: () => Effect.fail(error),
      onSome: (plain) =>
        Effect.andThen(
          Effect.logWarning("An older CRD refuses the reason of an end, so a plain one is written", error.message),
          write(plain)
        )
    }))
}
