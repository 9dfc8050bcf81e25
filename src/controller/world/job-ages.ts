// How long the Job of each task has been known, by our monotonic clock and not by its creation time, and its last Pod and warning.
// Invariant: another Job begins anew; waits for anything that a Pod lacks do not count as its start; once the Job is being deleted, that is timed instead.
// Used by controller/world/world.
import { Option } from "effect"
import { isSuspended, waitsForNode, waitsForOthers } from "../../core/reconcile/start-trouble.ts"
import type { JobSeen, PodSeen, StartSeen } from "../../core/task/observed.ts"

/** How far a Job is, since when in monotonic milliseconds. One that is held waits for a quota or webhook, or is suspended, and is not timed. */
interface Progress {
  readonly is: "held" | "lacking a node" | "starting" | "deleting"
  readonly since: number
  /** When it first lacked a node, a volume that another node had, or its token: all such waits of a Job share their time, as its deadline has it once. */
  readonly firstLacked: number | undefined
}

const heldAnew: Progress = { is: "held", since: 0, firstLacked: undefined }

const progressOf = (before: Progress | undefined, seen: StartSeen): Progress["is"] => {
  const isDeleting = Option.exists(seen.job, ({ deleting }) => deleting)
  if (isDeleting || before?.is === "deleting") return "deleting" // the cache may hear of the deletion later than a pass that asked the API server
  if (waitsForOthers(seen) || isSuspended(seen)) return "held"
  return waitsForNode(seen) ? "lacking a node" : "starting"
}
const progressAt = (before: Progress | undefined, seen: StartSeen, at: number): Progress => {
  const is = progressOf(before, seen)
  const lacked = before?.firstLacked ?? (is === "lacking a node" ? at : undefined)
  const firstLacked = isSuspended(seen) ? undefined : lacked // a Job that is resumed has all its time again
  const since = before?.is === is ? before.since : at
  return { is, since: is === "lacking a node" ? firstLacked ?? since : since, firstLacked }
}

/** What passes saw of a Job. */
interface KnownJob {
  /** The UID of the Job. */
  readonly job: string
  /**
   * Since when passes have known the Job, in monotonic milliseconds; undefined while it is suspended. To Kubernetes, and to its
   * queue, a Job that is resumed is like a new one.
   */
  readonly since: number | undefined
  readonly progress: Progress
  /** When the last Pod that a pass saw of the Job was made, by the API server's clock. */
  readonly lastPodMadeAt: Option.Option<string>
  /** The Pod that the last pass saw, and the warning that it saw about that or, without a Pod, about the Job. */
  readonly last: Pick<StartSeen, "warning"> & { readonly pod: string | undefined }
}

const uidOf = (pod: Option.Option<PodSeen>): string | undefined => Option.getOrUndefined(pod)?.uid

export const jobAges = () => {
  const known = new Map<string, KnownJob>() // by the task's uid
  const of = (taskUid: string, job: Option.Option<JobSeen>): KnownJob | undefined => {
    const found = known.get(taskUid)
    return Option.exists(job, ({ uid }) => uid === found?.job) ? found : undefined
  }

  return {
    /** Returns how long passes have known this Job of the task at `at`, in monotonic milliseconds; 0 at the first look. */
    knownMillis: (taskUid: string, job: Option.Option<JobSeen>, at: number): number => at - (of(taskUid, job)?.since ?? at),
    /**
     * Returns how long the Pod of this Job has been starting, from the first pass that did not see it held. A
     * wait for a node, a volume or its token is counted by itself. Once the Job is being deleted, returns how long that has taken.
     */
    startingMillis: (taskUid: string, seen: StartSeen, at: number): number => {
      const { is, since } = progressAt(of(taskUid, seen.job)?.progress, seen, at)
      return is === "held" ? 0 : at - since
    },
    /** Returns when the last Pod of this Job that a pass saw was made, by the API server's clock. */
    lastPodMadeAt: (taskUid: string, job: Option.Option<JobSeen>): Option.Option<string> =>
      of(taskUid, job)?.lastPodMadeAt ?? Option.none(),
    /** Returns the warning that the last pass saw about this Pod or, without a Pod, about this Job. */
    lastWarning: (taskUid: string, { job, pod }: Pick<StartSeen, "job" | "pod">): StartSeen["warning"] => {
      const last = of(taskUid, job)?.last
      return last?.pod === uidOf(pod) ? last?.warning ?? Option.none() : Option.none()
    },
    passSaw: (taskUid: string, observed: StartSeen, at: number): void => {
      const { job, pod } = observed
      const before = of(taskUid, job)
      if (Option.isNone(job)) return void known.delete(taskUid)
      known.set(taskUid, {
        job: job.value.uid,
        since: isSuspended(observed) ? undefined : before?.since ?? at,
        progress: progressAt(before?.progress, observed, at),
        lastPodMadeAt: Option.orElse(Option.map(pod, ({ createdAt }) => createdAt), () => before?.lastPodMadeAt ?? Option.none()),
        last: { pod: uidOf(pod), warning: observed.warning }
      })
    },
    /** Times the Job of the task anew once it is resumed, also where no pass saw it suspended, since another replica led then. */
    suspended: (taskUid: string): void => {
      const found = known.get(taskUid)
      if (found !== undefined) known.set(taskUid, { ...found, since: undefined, progress: heldAnew })
    },
    forget: (taskUid: string): void => void known.delete(taskUid)
  }
}

/** What is known of Jobs; passes alone add to it. */
export type JobAges = Omit<ReturnType<typeof jobAges>, "forget" | "passSaw" | "suspended">
