// Which finished tasks are past the history limit of their workspace.
// Only tasks of a pool count: one that Git keeps would come back, and run again.
// Called by controller/world.
import type { AgentTask } from "../schema/agent-task.ts"
import type { Uid } from "../schema/names.ts"
import { isOver } from "./status.ts"

const finishedAt = ({ metadata, status }: AgentTask): string => status.finishedAt ?? metadata.creationTimestamp

/** The uids of those that may go: reported, and older than the newest `limit` of their workspace. */
export const expired = (tasks: Iterable<AgentTask>, limit: number): ReadonlySet<Uid> => {
  const finished = Map.groupBy(
    [...tasks].filter(({ spec, status }) => spec.pool !== undefined && isOver(status.phase) && status.reportedAt !== undefined),
    ({ spec }) => spec.workspace
  )
  return new Set([...finished.values()].flatMap((all) =>
    all.sort((a, b) => finishedAt(b) < finishedAt(a) ? -1 : 1).slice(limit).map(({ metadata }) => metadata.uid)
  ))
}
