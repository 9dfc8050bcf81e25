// Which finished tasks are past the history limit of their workspace.
// Only tasks that were made here count, for a pool or for a new revision: one that Git keeps would come back, and run again.
// Called by controller/world.
import { Option } from "effect"
import type { AgentTask } from "../schema/agent-task.ts"
import type { Uid } from "../schema/names.ts"
import { attemptOf } from "./follow.ts"
import { isOver } from "./status.ts"

const finishedAt = ({ metadata, status }: AgentTask): string => status.finishedAt ?? metadata.creationTimestamp

/** Nobody waits for it any more, and nobody would make it again. */
export const mayExpire = (task: AgentTask): boolean =>
  isOver(task.status.phase) && (task.spec.pool === undefined ? Option.isSome(attemptOf(task)) : task.status.reportedAt !== undefined)

/** The uids of those that may go: not needed any more, and older than the newest `limit` of their workspace. */
export const expired = (tasks: Iterable<AgentTask>, limit: number): ReadonlySet<Uid> => {
  const finished = Map.groupBy(
    [...tasks].filter(mayExpire),
    ({ spec }) => spec.workspace
  )
  return new Set([...finished.values()].flatMap((all) =>
    all.sort((a, b) => finishedAt(b) < finishedAt(a) ? -1 : 1).slice(limit).map(({ metadata }) => metadata.uid)
  ))
}
