// For how long the Job of each task has been known, by the monotonic clock of this process: when it was made is by another's. And when its last Pod was made.
// Always holds: another Job of the task begins anew; the start of its Pod is not counted while it waits for a quota; once the Job goes, that is counted instead.
// Used by controller/world.
import { Option } from "effect"
import type { JobSeen, Observed } from "../core/observed.ts"
import { waitsForQuota } from "../core/pod-trouble.ts"

/**
 * A Job's uid, when a pass first saw it, since when its Pod starts or, from then on, the Job goes, and when the last Pod was made that a
 * pass saw of it, by the API server's clock.
 */
interface KnownJob {
  readonly job: string
  readonly at: number
  readonly startsAt: number | undefined
  readonly goes: boolean
  readonly lastPodMadeAt: Option.Option<string>
}

export const jobAges = () => {
  const known = new Map<string, KnownJob>() // by the task's uid
  const of = (taskUid: string, job: Option.Option<JobSeen>): KnownJob | undefined => {
    const found = known.get(taskUid)
    return Option.exists(job, ({ uid }) => uid === found?.job) ? found : undefined
  }

  return {
    knownMillis: (taskUid: string, job: Option.Option<JobSeen>, at: number): number => at - (of(taskUid, job)?.at ?? at),
    startingMillis: (taskUid: string, job: Option.Option<JobSeen>, at: number): number => {
      const seen = of(taskUid, job)
      return seen === undefined || (Option.exists(job, ({ deleting }) => deleting) && !seen.goes) ? 0 : at - (seen.startsAt ?? at)
    },
    lastPodMadeAt: (taskUid: string, job: Option.Option<JobSeen>): Option.Option<string> =>
      of(taskUid, job)?.lastPodMadeAt ?? Option.none(),
    passSaw: (taskUid: string, observed: Pick<Observed, "job" | "pod" | "warning">, at: number): void => {
      const { job, pod } = observed
      const before = of(taskUid, job)
      if (Option.isNone(job)) return void known.delete(taskUid)
      const { deleting, uid } = job.value
      const goes = deleting || before?.goes === true // the cache may hear of it later than a pass that asked
      known.set(taskUid, {
        job: uid,
        at: before?.at ?? at,
        startsAt: goes ? (before?.goes === true ? before.startsAt : at) : waitsForQuota(observed) ? undefined : before?.startsAt ?? at,
        goes,
        lastPodMadeAt: Option.orElse(Option.map(pod, ({ createdAt }) => createdAt), () => before?.lastPodMadeAt ?? Option.none())
      })
    },
    forget: (taskUid: string): void => void known.delete(taskUid)
  }
}
