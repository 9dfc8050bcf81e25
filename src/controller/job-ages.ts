// For how long the Job of each task has been known, by the monotonic clock of this process: when it was made is by another's. And whether it had a Pod.
// Always holds: another Job of the task begins anew; the start of its Pod is not counted while it waits for a quota; once the Job goes, that is counted instead.
// Used by controller/world.
import { Option } from "effect"
import type { JobSeen, Observed } from "../core/observed.ts"
import { waitsForQuota } from "../core/pod-trouble.ts"

/** A Job's uid, when a pass first saw it, since when its Pod starts or, from then on, the Job goes, and whether a pass saw a Pod of it. */
interface KnownJob { readonly job: string; readonly at: number; readonly startsAt: number | undefined; readonly goes: boolean; readonly hadPod: boolean }

export const jobAges = () => {
  const known = new Map<string, KnownJob>() // by the task's uid
  const of = (taskUid: string, job: Option.Option<JobSeen>): KnownJob | undefined => {
    const found = known.get(taskUid)
    return Option.exists(job, ({ uid }) => uid === found?.job) ? found : undefined
  }

  return {
    knownMillis: (taskUid: string, job: Option.Option<JobSeen>, at: number): number => at - (of(taskUid, job)?.at ?? at),
    startingMillis: (taskUid: string, job: Option.Option<JobSeen>, at: number): number => at - (of(taskUid, job)?.startsAt ?? at),
    hadPod: (taskUid: string, job: Option.Option<JobSeen>): boolean => of(taskUid, job)?.hadPod === true,
    looked: (taskUid: string, observed: Pick<Observed, "job" | "pod" | "warning">, at: number): void => {
      const { job, pod } = observed
      const before = of(taskUid, job)
      if (Option.isNone(job)) return void known.delete(taskUid)
      const { deleting: goes, uid } = job.value
      const isAnew = goes !== (before?.goes ?? false)
      known.set(taskUid, {
        job: uid,
        at: before?.at ?? at,
        startsAt: waitsForQuota(observed) && !goes ? undefined : isAnew ? at : before?.startsAt ?? at,
        goes,
        hadPod: before?.hadPod === true || Option.isSome(pod)
      })
    },
    forget: (taskUid: string): void => void known.delete(taskUid)
  }
}
