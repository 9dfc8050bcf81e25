// How long the Job of each task has been known, by our monotonic clock and not by its creation time, and its last Pod and warning.
// Invariant: another Job begins anew; waits for a quota, a node or a resume do not count as the start of a Pod; once the Job is being deleted, that is timed instead.
// Used by controller/world/world.
import { Option } from "effect"
import { isSuspended, waitsForNode, waitsForQuota } from "../../core/reconcile/pod-trouble.ts"
import type { JobSeen, PodSeen, StartSeen } from "../../core/task/observed.ts"

/** What passes saw of a Job. `at` and `startsAt` are in monotonic milliseconds. */
interface KnownJob {
  /** The UID of the Job. */
  readonly job: string
  /** When a pass first saw the Job, or first saw it after a suspension. */
  readonly at: number
  /**
   * Since when its Pod has been starting, or has waited for a node if `lacksNode`; undefined while it waits for a quota or the Job is
   * suspended. If `goes`, since when the Job has been going.
   */
  readonly startsAt: number | undefined
  /** Whether the Job was suspended. To Kubernetes, and to its queue, a Job that is resumed is like a new one. */
  readonly suspended: boolean
  /** Whether no node could take the Pod. */
  readonly lacksNode: boolean
  /** Whether the Job is being deleted. */
  readonly goes: boolean
  /** When the last Pod that a pass saw of the Job was made, by the API server's clock. */
  readonly lastPodMadeAt: Option.Option<string>
  /** The Pod that the last pass saw, and the warning that it saw about that or, without a Pod, about the Job. */
  readonly last: Pick<StartSeen, "warning"> & { readonly pod: string | undefined }
}

const goingSince = (before: KnownJob | undefined, at: number): number | undefined => before?.goes === true ? before.startsAt : at
const uidOf = (pod: Option.Option<PodSeen>): string | undefined => Option.getOrUndefined(pod)?.uid
const startingSince = (before: KnownJob | undefined, seen: StartSeen, at: number): number | undefined => {
  if (waitsForQuota(seen) || isSuspended(seen)) return undefined
  return before?.lacksNode === waitsForNode(seen) ? before.startsAt ?? at : at
}

export const jobAges = () => {
  const known = new Map<string, KnownJob>() // by the task's uid
  const of = (taskUid: string, job: Option.Option<JobSeen>): KnownJob | undefined => {
    const found = known.get(taskUid)
    return Option.exists(job, ({ uid }) => uid === found?.job) ? found : undefined
  }

  return {
    knownMillis: (taskUid: string, job: Option.Option<JobSeen>, at: number): number => {
      const before = of(taskUid, job)
      return before === undefined || before.suspended ? 0 : at - before.at
    },
    startingMillis: (taskUid: string, seen: StartSeen, at: number): number => {
      const before = of(taskUid, seen.job)
      if (before === undefined) return 0
      if (before.goes) return at - (before.startsAt ?? at)
      if (Option.exists(seen.job, ({ deleting }) => deleting)) return 0 // no pass has recorded the deletion yet
      return at - (startingSince(before, seen, at) ?? at)
    },
    lastPodMadeAt: (taskUid: string, job: Option.Option<JobSeen>): Option.Option<string> =>
      of(taskUid, job)?.lastPodMadeAt ?? Option.none(),
    lastWarning: (taskUid: string, { job, pod }: Pick<StartSeen, "job" | "pod">): StartSeen["warning"] => {
      const last = of(taskUid, job)?.last
      return last?.pod === uidOf(pod) ? last?.warning ?? Option.none() : Option.none()
    },
    passSaw: (taskUid: string, observed: StartSeen, at: number): void => {
      const { job, pod } = observed
      const before = of(taskUid, job)
      if (Option.isNone(job)) return void known.delete(taskUid)
      const { deleting, uid } = job.value
      const goes = deleting || before?.goes === true // the cache may hear of the deletion later than a pass that asked the API server
      known.set(taskUid, {
        job: uid,
        at: before === undefined || before.suspended ? at : before.at,
        suspended: isSuspended(observed),
        startsAt: goes ? goingSince(before, at) : startingSince(before, observed, at),
        goes,
        lacksNode: waitsForNode(observed),
        lastPodMadeAt: Option.orElse(Option.map(pod, ({ createdAt }) => createdAt), () => before?.lastPodMadeAt ?? Option.none()),
        last: { pod: uidOf(pod), warning: observed.warning }
      })
    },
    forget: (taskUid: string): void => void known.delete(taskUid)
  }
}
