// Joins what the caches have of one task with what the API server answered, as plain data: what `plan` decides upon.
// It only reads: asking, which also tells the world what an answer shows, is in controller/reconcile/ask.
// Called by controller/reconcile/reconcile in the synchronous step that also decides.
import { Array, Option, Order } from "effect"
import { attemptOf, madeNames } from "../../core/reconcile/attempts.ts"
import { isPodOver } from "../../core/reconcile/pod-end.ts"
import { Holder, type JobSeen, type Observed, type PodSeen, SourceSeen, type Warning } from "../../core/task/observed.ts"
import { keyOf } from "../../kubernetes/object.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import type { World } from "../world/world.ts"

/**
 * The answers of the API server. They are joined with the caches, turn included, only in the synchronous step that also decides, because
 * the caches go on changing while an answer is awaited.
 */
export interface Answers {
  /** Whether the Job and the Pods, or the source of a task that is over, are those that the API server itself has now. */
  readonly live: boolean
  readonly job: Option.Option<JobSeen>
  /** The Pods among which to look for the right one; None where the cached ones serve. */
  readonly pods: Option.Option<ReadonlyArray<PodSeen>>
  readonly holder: Holder
  readonly source: SourceSeen
  readonly warning: Option.Option<Warning>
  /** The apply of the newest attempt, which the caches may not have heard of. */
  readonly apply: Option.Option<AgentTask>
}

export const noAnswers: Answers = {
  live: false,
  job: Option.none(),
  pods: Option.none(),
  holder: Holder.NotAsked(),
  source: SourceSeen.NotAsked(),
  warning: Option.none(),
  apply: Option.none()
}

/**
 * Returns the Pod that holds the claim. If there is no claim, returns the newest Pod of the Job that may still claim the task, or else the
 * newest of all its Pods. Of several Pods of one Job, at most one holds the claim.
 */
export const podOf = (task: AgentTask, job: Option.Option<JobSeen>, seen: ReadonlyArray<PodSeen>): Option.Option<PodSeen> => {
  const claim = task.status.claim
  if (claim !== undefined) return Option.fromUndefinedOr(seen.find(({ uid }) => uid === claim.podUid))
  const ofJob = seen.filter(({ owner }) => Option.exists(job, ({ uid }) => Option.contains(owner, uid)))
  const byAge = Array.sortWith(ofJob, ({ createdAt }) => createdAt, Order.String) // Pods of the same second stay in the order in which they were reported
  return Option.fromUndefinedOr(byAge.findLast((pod) => !isPodOver(pod) && !pod.deleting) ?? byAge.at(-1))
}

/**
 * Reports whether the cached Job is further than the answered one: it is another Job, or is being deleted or has ended, which the answered
 * one is not or has not.
 */
const isFurther = ({ deleting, state, uid }: JobSeen, answered: Option.Option<JobSeen>): boolean =>
  !Option.exists(answered, (_) => _.uid === uid && (_.deleting || !deleting) && (_.state !== "active" || state === "active"))

/** Joins the answers with the caches. `at` is in monotonic milliseconds. */
export const observe = (world: World, task: AgentTask, answers: Answers, at: number): Observed => {
  const { ages, cache, turns } = world
  const { metadata: { namespace, uid } } = task
  const names = madeNames(task)
  const madeAs = (names: ReadonlyArray<string>) =>
    Array.findFirst(
      Array.getSomes(names.map((name) => cache.task(keyOf({ namespace, name })))),
      (found) => found.metadata.uid === uid || Option.contains(attemptOf(found), uid) // another task may have the name of an attempt that was deleted
    )
  const cached = cache.job(uid)
  const job = Option.orElse(Option.filter(cached, (job) => isFurther(job, answers.job)), () => answers.job)
  const pod = podOf(task, job, Option.getOrElse(answers.pods, () => cache.pods(uid)))
  return {
    task,
    job: Option.map(job, (seen) => ({
      ...seen,
      knownMillis: ages.knownMillis(uid, job, at),
      startingMillis: ages.startingMillis(uid, { job, pod, warning: answers.warning }, at)
    })),
    hadJob: cache.hadJob(uid) && (Option.isSome(cached) || !answers.live), // unless the Job that is gone is the one that was asked about
    pod,
    unreadyMillis: world.unreadyMillis({ task, pod }, at),
    overMillis: world.overMillis({ task }, at),
    hadPod: Option.isSome(pod) || Option.isSome(ages.lastPodMadeAt(uid, job)),
    turn: turns.of(task),
    holder: answers.holder,
    source: answers.source,
    latest: madeAs(names.attempt),
    latestApply: Option.orElse(madeAs(names.apply), () => answers.apply),
    warning: answers.warning,
    refusal: world.refusals.at(uid, at),
    deniedMillis: world.refusals.deniedMillis(uid),
    reportedWait: world.reportedWait(uid),
    expired: world.pastHistory.has(task)
  }
}
