// Which finished tasks may be deleted: the oldest beyond a limit of their workspace or of the installation; plans never push out applies.
// Only tasks for a pool and attempts count, since a task that Git keeps would come back and run again. The newest attempt stays.
// Called by controller/world/past-history and controller/world/mirror.
import { Option } from "effect"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import { isOver } from "../task/status.ts"
import { attemptOf, isAttemptOf } from "./attempts.ts"

/**
 * The most finished plans, and the most finished applies and destroys, that are kept in all workspaces of an installation together. Plans
 * are counted apart, because a server that was restored from a backup may offer an apply again, and only the apply's own task keeps it from
 * running twice. A controller with 256 MiB holds twice as many as both; one that runs out of memory could never delete the rest.
 */
export const mostFinished = { plans: 1_000, applies: 2_000 }

/**
 * Returns a key that sorts tasks by age, and those of one moment by name. It has the API server's time: an end is by the clock of its node,
 * which may be ahead and fill the history with tasks that are long past.
 */
export const ageKey = ({ metadata: { creationTimestamp, name } }: AgentTask): string => `${creationTimestamp} ${name}`

/** Reports whether the task may be deleted: it is over, nothing waits for its result, and nothing would make it again. */
export const mayExpire = (task: AgentTask): boolean =>
  isOver(task.status.phase) && (task.spec.pool === undefined ? Option.isSome(attemptOf(task)) : task.status.reportedAt !== undefined)

const nameIn = (namespace: string, name: string): string => `${namespace}/${name}`

/**
 * Returns the newest attempts and their applies, which stay: a plan may still have to be applied, and the conditions of the task that made
 * them speak of them.
 */
const newestAttempts = (tasks: ReadonlyArray<AgentTask>): ReadonlySet<string> =>
  new Set(
    tasks.flatMap(({ metadata: { namespace }, status: { latest } }) =>
      latest === undefined ? [] : [latest.name, latest.apply].filter((name) => name !== undefined).map((name) => nameIn(namespace, name))
    )
  )

/**
 * Returns a test for tasks that were made for a pool, or by another of `tasks` as its attempts. A task that only claims to be an attempt
 * takes no place from these, and stays.
 */
const madeHere = (tasks: ReadonlyArray<AgentTask>): (task: AgentTask) => boolean => {
  const followers = new Map(tasks.map((task) => [task.metadata.uid, task]))
  return (task) =>
    task.spec.pool !== undefined ||
    Option.exists(
      Option.flatMap(attemptOf(task), (uid) => Option.fromUndefinedOr(followers.get(uid))),
      (follower) => isAttemptOf(follower, task)
    )
}

/** Returns the tasks of one workspace that may be deleted once they are past a limit, newest first: those that are not needed any more. */
export const historyOf = (tasks: ReadonlyArray<AgentTask>): ReadonlyArray<AgentTask> => {
  const newest = newestAttempts(tasks)
  return tasks.filter(mayExpire).filter(madeHere(tasks)).filter(({ metadata }) => !newest.has(nameIn(metadata.namespace, metadata.name)))
    .sort((a, b) => ageKey(b) < ageKey(a) ? -1 : 1)
}
