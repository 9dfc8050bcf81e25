// The actions and notices that `plan` may ask for, as plain data. Only controller/reconcile/execute carries them out.
// Each action is safe to repeat: creates use derived names, writes are guarded by resourceVersion or UID, and reports name the assignment.
// Made by core/reconcile/response, core/reconcile/over, core/reconcile/start and core/reconcile/follow, carried out by controller/reconcile/execute.
import { Data } from "effect"
import type { Uid } from "../../schema/names.ts"
import type { AgentTaskSpec } from "../../schema/task/agent-task.ts"
import type { Reason } from "../../schema/task/reason.ts"
import type { StageResult } from "../../schema/task/stage-result.ts"
import type { Vacant } from "../scheduling/workspace-lease.ts"

export type Action = Data.TaggedEnum<{
  /**
   * Takes the workspace's Lease for this task: creates the Lease, or takes it over at the resourceVersion in `from`. `epoch` counts how
   * often the Lease has changed hands.
   */
  TakeWorkspace: { readonly from: Vacant; readonly epoch: number }
  /** `epoch` is the epoch of the Lease that the task holds, or 0 for a plan, which holds none. */
  CreateJob: { readonly epoch: number }
  /** `resourceVersion` is that of the Job whose Pods were looked up for the decision. */
  DeleteJob: { readonly name: string; readonly uid: string; readonly resourceVersion: string }
  /** Makes another task, owned by this one. */
  CreateTask: { readonly name: string; readonly spec: AgentTaskSpec }
  /** Asks the worker of this task, or of one that it made, to stop, by setting `spec.cancel`. */
  Cancel: { readonly name: string; readonly uid: Uid }
  /** Tells the pool how the stage ended. The pool keeps the first result that it is told. */
  ReportResult: { readonly assignment: string; readonly result: StageResult }
  /** Removes the pool's finalizer from a deleted task for which nothing is left to do. */
  Release: {}
  DeleteTask: {}
}>
export const Action = Data.taggedEnum<Action>()

/** News about a status, for the pool or as a Kubernetes event. Nothing depends on whether it arrives. */
export type Notice = Data.TaggedEnum<{
  /** Tells the pool what keeps the stage from beginning or going on. Repeating a report changes nothing. */
  ReportWait: { readonly assignment: string; readonly reason: Reason; readonly message: string }
  Emit: { readonly type: "Normal" | "Warning"; readonly reason: Reason; readonly message: string }
}>
export const Notice = Data.taggedEnum<Notice>()
