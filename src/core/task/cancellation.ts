// What is applied to a task to cancel it.
// Invariant: it is guarded by the UID, so that a later task of the same name is not cancelled.
// Used by controller/reconcile/execute, controller/pool and cli/cluster/tasks.

/** An AgentTask, whether all of it is understood or not. */
interface Named {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid: string }
}

export const cancellationOf = ({ metadata: { name, namespace, uid } }: Named) => ({
  metadata: { name, namespace, uid },
  spec: { cancel: true }
})
