// Whether the state of a workspace without a pool may lack what an apply made that is over, as its AgentTask tells. A destroy makes nothing.
// Invariant: the deletion of that task is a person's word to go on. A cancel is none, since it may have come before the end.
// Used by core/reconcile/newest-attempt for followers, controller/reconcile/workspace-holder for who is next, and the gauge of controller/lifecycle/leader.
import { type AgentTask, mutates } from "../../schema/task/agent-task.ts"
import type { ToldResult } from "../../schema/task/stage-result.ts"
import { isOver } from "../task/status.ts"
import { endedInOrder } from "./left-over.ts"

type Told = Partial<Pick<ToldResult, "changes" | "exitCode" | "reason" | "statePushed">>

/** What is asked of such a task, which may be one that this version cannot decode. */
export interface Changing {
  readonly metadata: { readonly deletionTimestamp?: string }
  readonly spec?: { readonly pool?: unknown; readonly stage?: string }
  readonly status?: { readonly claim?: unknown; readonly phase?: string; readonly result?: Told }
}

/** Reports whether the state may lack what the stage made, by its result: not saved, or the engine was killed, or nobody knows. */
const mayLack = (result: Told | undefined): boolean =>
  result === undefined || result.statePushed === false || result.reason === "StateNotSaved" || result.reason === "Lost" ||
  (result.exitCode === undefined ? (result.changes?.add ?? 0) > 0 : !endedInOrder(result)) // earlier workers said no more

/** Reports whether it is over and nobody said yet that others may go on. The server of a pool judges its own (core/run/state-doubt). */
export const leftInDoubt = ({ metadata: { deletionTimestamp }, spec, status: { claim, phase, result } = {} }: Changing): boolean =>
  spec?.pool === undefined && spec?.stage !== "destroy" && deletionTimestamp === undefined && isOver(phase) && claim !== undefined &&
  mayLack(result)

/** Returns after which tasks a workspace waits for a person: the last that changed it, of those that are there, if it left a doubt. */
export const lastInDoubt = (tasks: Iterable<AgentTask>): ReadonlyArray<AgentTask> => {
  const last = new Map<string, AgentTask>()
  for (const task of tasks) {
    const { spec: { stage, workspace }, status: { claim } } = task
    if (mutates(stage) && claim !== undefined && claim.at >= (last.get(workspace)?.status.claim?.at ?? "")) last.set(workspace, task)
  }
  return [...last.values()].filter(leftInDoubt)
}
