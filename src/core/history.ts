// Which finished tasks may go: the oldest beyond the history limit of their workspace, and beyond that of the installation.
// Only tasks that were made here count, for a pool or for a new revision: one that Git keeps would come back, and run again. The newest attempt stays.
// Called by controller/past-history and controller/mirror.
import { Option } from "effect"
import type { AgentTask } from "../schema/agent-task.ts"
import { attemptOf, isAttemptOf } from "./follow.ts"
import { isOver } from "./status.ts"

/**
 * Of so many finished tasks, in all workspaces of an installation together, the newest are kept. A controller of 256 MiB holds three times
 * as many, and one that ends for want of memory could never delete what was too much.
 */
export const mostFinished = 2_000

/**
 * Later ones sort after; those of one moment by name. By the API server's clock: an end is by that of its node, which may be ahead and fill
 * the history with what is long past.
 */
export const place = ({ metadata: { creationTimestamp, name } }: AgentTask): string => `${creationTimestamp} ${name}`

/** Nobody waits for it any more, and nobody would make it again. */
export const mayExpire = (task: AgentTask): boolean =>
  isOver(task.status.phase) && (task.spec.pool === undefined ? Option.isSome(attemptOf(task)) : task.status.reportedAt !== undefined)

const placeOf = (namespace: string, name: string): string => `${namespace}/${name}`

/**
 * The newest attempts and their applies: the plan of one may be still to be applied, and the conditions of the task that they were made for
 * speak of them.
 */
const newestAttempts = (tasks: ReadonlyArray<AgentTask>): ReadonlySet<string> =>
  new Set(
    tasks.flatMap(({ metadata: { namespace }, status: { latest } }) =>
      latest === undefined ? [] : [latest.name, latest.apply].filter((name) => name !== undefined).map((name) => placeOf(namespace, name))
    )
  )

/**
 * Which of the tasks were made for a pool, or by one of the tasks as its attempts: who only says so takes no place from these, and stays.
 */
const madeHere = (tasks: ReadonlyArray<AgentTask>): (task: AgentTask) => boolean => {
  const followers = new Map(tasks.filter(({ status }) => status.latest !== undefined).map((task) => [task.metadata.uid, task]))
  return (task) =>
    task.spec.pool !== undefined ||
    Option.exists(
      Option.flatMap(attemptOf(task), (uid) => Option.fromUndefinedOr(followers.get(uid))),
      (follower) => isAttemptOf(follower, task)
    )
}

/** Which of one workspace's tasks may go once they are past a limit: those that are not needed any more, newest first. */
export const finished = (tasks: ReadonlyArray<AgentTask>): ReadonlyArray<AgentTask> => {
  const newest = newestAttempts(tasks)
  return tasks.filter(mayExpire).filter(madeHere(tasks)).filter(({ metadata }) => !newest.has(placeOf(metadata.namespace, metadata.name)))
    .sort((a, b) => place(b) < place(a) ? -1 : 1)
}
