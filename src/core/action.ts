// What `plan` may ask for: data, carried out by controller/execute and nobody else.
// Each action is safe to repeat: creates go by derived names, takes and status writes by resourceVersion, reports by their id.
// Made by core/response and core/follow, carried out by controller/execute.
import { Data } from "effect"
import type { AgentTaskSpec } from "../schema/agent-task.ts"
import type { Reason } from "../schema/reason.ts"
import type { StageResult } from "../schema/stage-result.ts"
import type { Holder } from "./observed.ts"

export type Action = Data.TaggedEnum<{
  /**
   * Takes the workspace's Lease for this task: creates it, or takes it over from the version seen. The epoch counts how often it has
   * changed hands.
   */
  TakeWorkspace: { readonly from: Holder; readonly epoch: number }
  /** In that epoch of its workspace; 0 for a plan, which takes none. */
  CreateJob: { readonly epoch: number }
  DeleteJob: { readonly name: string; readonly uid: string }
  /** Makes another task, owned by this one. */
  CreateTask: { readonly name: string; readonly spec: AgentTaskSpec }
  /** Asks the worker to stop, by `spec.cancel`. */
  Cancel: {}
  /** Tells the pool how the stage ended; the pool takes the first word only. */
  ReportResult: { readonly assignment: string; readonly result: StageResult }
  /** Lets a deleted task go, now that nothing of it is left to do. */
  Release: {}
  DeleteTask: {}
}>
export const Action = Data.taggedEnum<Action>()

/** What others are told of a status; nothing depends on whether they hear it. */
export type Notice = Data.TaggedEnum<{
  /** Tells the pool why the stage has not begun; again and again the same changes nothing. */
  ReportWait: { readonly assignment: string; readonly reason: Reason; readonly message: string }
  Emit: { readonly type: "Normal" | "Warning"; readonly reason: Reason; readonly message: string }
}>
export const Notice = Data.taggedEnum<Notice>()
