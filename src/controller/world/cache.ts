// The tasks, and their Jobs and Pods, as the informers last reported them, and nothing else.
// It says what exists, never what to do next. When a task goes, all that is known of it goes too, except Jobs and Pods that outlive it.
// Used by controller/world/world and controller/world/turns, and where only it is needed by controller/reconcile and controller/lifecycle.
import { Option } from "effect"
import type { JobSeen, PodSeen } from "../../core/task/observed.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"

/** What exists. */
export interface Cache {
  readonly task: (key: string) => Option.Option<AgentTask>
  readonly tasks: () => ReadonlyMap<string, AgentTask>
  readonly taskByUid: (uid: string) => Option.Option<AgentTask>
  readonly keyOf: (taskUid: string) => Option.Option<string>
  readonly job: (taskUid: string) => Option.Option<JobSeen>
  /** Whether an informer reported a Job of the task, and that it is gone. */
  readonly hadJob: (taskUid: string) => boolean
  readonly pods: (taskUid: string) => ReadonlyArray<PodSeen>
}

/** What informers tell of that. */
export interface Changes {
  /** Returns the task that is gone by this change, if any: it was deleted, or made again under its name. */
  readonly setTask: (key: string, task: Option.Option<AgentTask>) => Option.Option<AgentTask>
  /** Returns the UID of the task that the Job belongs to, or belonged to. */
  readonly setJob: (key: string, job: Option.Option<Owned<JobSeen>>) => Option.Option<string>
  readonly setPod: (key: string, pod: Option.Option<Owned<PodSeen>>) => Option.Option<string>
}

/** An object that belongs to a task. */
interface Owned<Seen> {
  readonly taskUid: string
  readonly seen: Seen
}

/** The objects of each task, in two levels: by the UID of the task, then by the key of the object. */
const byTask = <Seen>() => {
  const owners = new Map<string, string>() // object key → task uid
  const seen = new Map<string, Map<string, Seen>>()
  return {
    at: (key: string): Owned<Seen> | undefined => {
      const taskUid = owners.get(key)
      const found = taskUid === undefined ? undefined : seen.get(taskUid)?.get(key)
      return taskUid === undefined || found === undefined ? undefined : { taskUid, seen: found }
    },
    of: (taskUid: string): ReadonlyArray<Seen> => [...seen.get(taskUid)?.values() ?? []],
    first: (taskUid: string): Seen | undefined => seen.get(taskUid)?.values().next().value,
    set: (key: string, found: Option.Option<Owned<Seen>>): Option.Option<string> => {
      const before = owners.get(key)
      const after = Option.getOrUndefined(found)
      if (before !== undefined && before !== after?.taskUid) {
        owners.delete(key)
        const rest = seen.get(before)
        rest?.delete(key)
        if (rest?.size === 0) seen.delete(before)
      }
      if (after !== undefined) {
        owners.set(key, after.taskUid)
        const all = seen.get(after.taskUid) ?? new Map<string, Seen>()
        seen.set(after.taskUid, all.set(key, after.seen))
      }
      return Option.fromUndefinedOr(after?.taskUid ?? before)
    }
  }
}

export const make = (): Cache & Changes => {
  const tasks = new Map<string, AgentTask>()
  const keys = new Map<string, string>() // task uid → key
  const jobs = byTask<JobSeen>()
  const pods = byTask<PodSeen>()
  const hadJob = new Set<string>() // uids of the tasks of which a Job is gone

  return {
    task: (key) => Option.fromUndefinedOr(tasks.get(key)),
    tasks: () => tasks,
    taskByUid: (uid) => Option.flatMap(Option.fromUndefinedOr(keys.get(uid)), (key) => Option.fromUndefinedOr(tasks.get(key))),
    keyOf: (uid) => Option.fromUndefinedOr(keys.get(uid)),
    job: (uid) => Option.fromUndefinedOr(jobs.first(uid)),
    hadJob: (uid) => hadJob.has(uid),
    pods: pods.of,

    setTask: (key, task) => {
      const gone = Option.filter(
        Option.fromUndefinedOr(tasks.get(key)),
        (before) => !Option.exists(task, ({ metadata }) => metadata.uid === before.metadata.uid)
      )
      if (Option.isSome(gone)) {
        const { uid } = gone.value.metadata
        keys.delete(uid)
        hadJob.delete(uid)
      }
      Option.match(task, {
        onNone: () => void tasks.delete(key),
        onSome: (task) => {
          tasks.set(key, task)
          keys.set(task.metadata.uid, key)
        }
      })
      return gone
    },
    setJob: (key, found) => {
      const before = jobs.at(key)
      if (before !== undefined && Option.isNone(found) && keys.has(before.taskUid)) hadJob.add(before.taskUid) // mostly a task goes before its Job, and all that is known of it is forgotten by then
      return jobs.set(key, found)
    },
    setPod: pods.set
  }
}
