// What the values say about tasks as such, without their Pods: how many at once, how long a start may take, how often it is tried.
// Plain data, so that the decisions in core need nothing else of the configuration.
// Made by core/resolve/resolve, read by core/reconcile/plan and core/scheduling/admit.

export interface TaskPolicy {
  /** Whose tasks these are, for the commands that messages name. */
  readonly installation: { readonly name: string; readonly namespace: string }
  /** What the names of Jobs begin with, if there is room for it. */
  readonly basename: string
  readonly limits: {
    /** Tasks that may start or run at once, over all workspaces. */
    readonly total: number
    /** Tasks that may start or run at once in one workspace; applies exclude each other all the same. */
    readonly perWorkspace: number
  }
  /** The most seconds from the Job to the worker's claim. */
  readonly startupTimeoutSeconds: number
  /** The most seconds that a Pod may wait for a node that can take it, or for a volume to leave another node; those of its start come after. */
  readonly nodeWaitSeconds: number
  /** Jobs that may be made for one task, as long as none of them was claimed. */
  readonly maxLaunches: number
  /** Finished AgentTasks kept in one workspace. */
  readonly historyPerWorkspace: number
  /** The keys with a prefix that a task's template may set as labels and annotations, or ask for as resources; one that ends in `/` is a prefix of such keys. */
  readonly allowedKeys: ReadonlyArray<string>
  /** Whether nothing may begin before the isolation of tasks is proven. */
  readonly requireProvenIsolation: boolean
  /** The accounts that tasks may have. A Pod keeps the one that it was made with, which may lose its rights when no value names it any more. */
  readonly accounts: ReadonlyArray<string>
  /** The hash of everything that Jobs are built from. */
  readonly configHash: string
}
