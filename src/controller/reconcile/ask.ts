// Asks the API server what the caches cannot tell of one task for sure; it confirms every absence that leads to an end or a take-over.
// The world is told at once what an answer shows of slots and holders.
// Called by controller/reconcile/reconcile; controller/reconcile/observe joins the answers with the caches.
import { Array, Effect, Option } from "effect"
import { attemptOf, madeNames } from "../../core/reconcile/attempts.ts"
import { isUnpinned, waitsForSource } from "../../core/reconcile/flux-source.ts"
import { follows } from "../../core/reconcile/follow.ts"
import { isPodOver } from "../../core/reconcile/pod-end.ts"
import { jobAgeMillis } from "../../core/reconcile/situation.ts"
import { startTrouble } from "../../core/reconcile/start-trouble.ts"
import { jobName } from "../../core/task/job-name.ts"
import type { JobSeen, PodSeen, SourceSeen, Warning } from "../../core/task/observed.ts"
import { jobSeen, podSeen } from "../../core/task/seen.ts"
import { isCalledOff, isOver } from "../../core/task/status.ts"
import type { TaskPolicy } from "../../core/task/task-policy.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import type { KubernetesError } from "../../kubernetes/errors.ts"
import { find } from "../../kubernetes/find.ts"
import { agentTasks, decoding, jobs, pods } from "../../kubernetes/kinds.ts"
import { keyOf } from "../../kubernetes/object.ts"
import { Job, Pod } from "../../schema/kubernetes/kubernetes.ts"
import { AgentTask, mutates } from "../../schema/task/agent-task.ts"
import { projectPod, taskOfJob } from "../world/project.ts"
import type { World } from "../world/world.ts"
import { Behind } from "./behind.ts"
import { readSource } from "./flux-sources.ts"
import { type Answers, noAnswers, podOf } from "./observe.ts"
import { readRefusalOr, type ReadRefused } from "./refusals.ts"
import type { About, DatedWarning } from "./warnings.ts"
import { workspaceHolder } from "./workspace-holder.ts"

type Read<A, E = never> = Effect.Effect<A, KubernetesError | E, Kubernetes>

/**
 * What there is to ask with. `at` is by the clock of passes, `followed` tells what the task's source had a moment ago, and `warned` the
 * newest warning about an object.
 */
export interface Asking {
  readonly world: Pick<World, "ages" | "cache" | "refusals" | "turns">
  readonly task: AgentTask
  readonly policy: TaskPolicy
  readonly now: string
  readonly at: number
  readonly followed: (task: AgentTask) => Read<SourceSeen>
  readonly warned: (about: About) => Read<Option.Option<DatedWarning>>
}

/** Kubernetes' own label on a Job's Pods, by its UID: a task may still have Pods of a former Job that is being deleted. */
const jobUidLabel = "batch.kubernetes.io/controller-uid"

const podsOf = Effect.fnUntraced(
  function*(
    { metadata: { namespace } }: AgentTask,
    { uid }: JobSeen
  ): Effect.fn.Return<ReadonlyArray<PodSeen>, KubernetesError, Kubernetes> {
    const { items } = yield* (yield* Kubernetes).list(pods, { namespace, labelSelector: `${jobUidLabel}=${uid}` })
    return Array.getSuccesses(items.map(projectPod)).map(({ seen }) => seen)
  }
)

const livePod = (task: AgentTask): Read<Option.Option<PodSeen>> => {
  const { claim, pod } = task.status
  if (claim === undefined || pod === undefined) return Effect.succeedNone
  return Effect.map(
    find(decoding(pods, Pod), { namespace: task.metadata.namespace, name: pod.name }),
    (found) => Option.filter(Option.map(found, podSeen), ({ uid }) => uid === claim.podUid)
  )
}

/**
 * Returns the Job of this name if it is the task's. Any other Job of this name counts as absent: the API server refuses when ours is to be
 * made.
 */
const jobNamed = ({ metadata: { namespace, uid } }: AgentTask, name: string): Read<Option.Option<JobSeen>> =>
  Effect.map(
    find(decoding(jobs, Job), { namespace, name }),
    (found) => Option.map(Option.filter(found, (job) => Option.contains(taskOfJob(job), uid)), jobSeen)
  )

const liveJob = (task: AgentTask, { basename }: TaskPolicy): Read<Option.Option<JobSeen>> =>
  jobNamed(task, task.status.job?.name ?? jobName(basename, task.metadata.name))

/** Returns the Job as it is now. It fails with `Behind` if that is gone. */
const stillThere = (task: AgentTask, { name, uid }: JobSeen): Read<JobSeen, Behind> =>
  Effect.flatMap(jobNamed(task, name), (found) =>
    Option.match(Option.filter(found, (_) => _.uid === uid), {
      onNone: () => Effect.fail(new Behind({ object: `Job ${keyOf({ namespace: task.metadata.namespace, name })}` })),
      onSome: Effect.succeed
    }))

/**
 * Fails with `Behind` unless the cache has the newest version of the task. It is asked when a Job that the task had, or may have had, is not
 * there: the task may have gone with it, or have a claim or an end that the cache has not heard of yet.
 */
const upToDate = ({ metadata: { name, namespace, resourceVersion, uid } }: AgentTask): Read<void, Behind> =>
  Effect.flatMap(
    find(agentTasks, { namespace, name }),
    (found) =>
      Option.exists(found, ({ metadata }) => metadata.uid === uid && metadata.resourceVersion === resourceVersion)
        ? Effect.void
        : Effect.fail(new Behind({ object: `AgentTask ${keyOf({ namespace, name })}` }))
  )

/**
 * Fails with `Behind` unless the cache has the newest version of the newest attempt and of its apply: somebody may have cancelled or deleted
 * them, and a worker may have claimed the apply.
 */
const newestUpToDate = ({ task, world: { cache } }: Asking): Read<void, Behind> => {
  const { metadata: { namespace }, status: { latest } } = task
  const names = [...latest === undefined ? [] : [latest.name], ...madeNames(task).apply]
  return Effect.forEach(Array.getSomes(names.map((name) => cache.task(keyOf({ namespace, name })))), upToDate, { discard: true })
}

/** Returns the apply of the newest attempt if the task made one that its status does not name yet. */
const unnamedApply = (task: AgentTask): Read<Option.Option<AgentTask>> => {
  const [name] = task.status.latest?.apply === undefined ? madeNames(task).apply : []
  if (name === undefined) return Effect.succeedNone
  const { namespace, uid } = task.metadata
  return Effect.map(
    find(decoding(agentTasks, AgentTask), { namespace, name }),
    Option.filter((made) => Option.contains(attemptOf(made), uid))
  )
}

/** How long a start may be silent before its events are read. */
const silentMillis = 5_000

/**
 * Returns the newest warning event about a Pod of the Job whose status gives no reason or, without a Pod, about the Job. In the latter case,
 * only a warning that is newer than the Job's last Pod counts. If events cannot be read, returns what the last pass saw of the same object.
 */
const warningAbout = (
  { at, now, task, warned, world: { ages, cache } }: Asking,
  job: JobSeen
): Effect.Effect<Option.Option<Warning>, never, Kubernetes> => {
  const { namespace, uid } = task.metadata
  const seen = Option.some(job)
  const pod = podOf(task, seen, cache.pods(uid))
  const age = jobAgeMillis({ ...job, knownMillis: ages.knownMillis(uid, seen, at) }, now)
  if (age < silentMillis || Option.exists(pod, (_) => Option.isSome(startTrouble(_)) || _.phase === "Running")) {
    return Effect.succeedNone
  }
  const lastPodMadeAt = ages.lastPodMadeAt(uid, seen)
  const isOld = (warning: DatedWarning) =>
    Option.isNone(pod) && Option.exists(lastPodMadeAt, (madeAt) => Date.parse(warning.at) <= Date.parse(madeAt))
  return warned({ namespace, uid: Option.getOrElse(pod, () => job).uid }).pipe(
    Effect.map(Option.filter((warning) => !isOld(warning))),
    Effect.map(Option.map(({ message, reason }) => ({ message, reason }))),
    Effect.orElseSucceed(() => ages.lastWarning(uid, { job: seen, pod }))
  )
}

/** Returns the UID of what starts, as far as the caches know: that of the Pod or, without one, of the Job. */
const starting = ({ task, world: { cache } }: Asking): string | undefined => {
  const { uid } = task.metadata
  const job = cache.job(uid)
  return Option.getOrUndefined(podOf(task, job, cache.pods(uid)))?.uid ?? Option.getOrUndefined(job)?.uid
}

/**
 * Reports whether the Lease of the workspace has to be read: for an apply or destroy that is admitted, and for one that waits for another
 * task which has not begun. The latter may hold the Lease since an earlier try; then its turn has come, and the other task waits for it.
 */
const needsLease = ({ task, world: { cache, turns } }: Asking): boolean => {
  const { metadata: { namespace }, spec: { stage, workspace } } = task
  const turn = turns.of(task)
  if (!mutates(stage)) return false
  if (turn._tag === "Admitted") return true
  return turn.why.reason === "WorkspaceBusy" && !turns.knowsHolder(workspace) &&
    !Option.exists(cache.task(keyOf({ namespace, name: turn.why.blockedBy })), turns.occupies)
}

/**
 * Returns what the source has. A task that waits for it shares the answer with the others, as long as that is no artifact: the Git server of
 * a thousand may be away for hours. The artifact that is written down is always read anew.
 */
const sourceOf = ({ followed, task }: Asking): Read<SourceSeen> =>
  waitsForSource(task)
    ? Effect.flatMap(followed(task), (seen) => seen._tag === "Ready" ? readSource(task) : Effect.succeed(seen))
    : readSource(task)

/**
 * Asks what else a start needs: who holds the workspace, and what the source has. A task that waits for its first artifact asks for that
 * alone, as often as it looks, and for its own Lease once there is one. What is refused here keeps the task from starting as much as a Job
 * that may not be made, because it is known by now that there is none.
 */
const askForStart = (asking: Asking): Read<Answers, ReadRefused> =>
  Effect.gen(function*() {
    const { followed, task, world } = asking
    if (world.turns.of(task)._tag === "Admitted" && waitsForSource(task) && task.status.source === undefined) {
      const source = yield* followed(task)
      if (source._tag === "NotReady") return { ...noAnswers, source }
    }
    const held = needsLease(asking) ? { ...noAnswers, holder: yield* workspaceHolder(world, task) } : noAnswers
    return world.turns.of(task)._tag === "Admitted" && isUnpinned(task) ? { ...held, source: yield* sourceOf(asking) } : held
  }).pipe(Effect.mapError(readRefusalOr))

/**
 * Asks the API server what the caches cannot tell for sure. A slot that an earlier pass took and that led to no Job is given back here and
 * not with the decision, because the turn that the task has without this slot determines whether the Lease and the source are read.
 */
export const ask = Effect.fn("ask")(
  function*(asking: Asking): Effect.fn.Return<Answers, KubernetesError | Behind | ReadRefused, Kubernetes> {
    const { followed, policy, task, world } = asking
    const { cache, turns } = world
    const { metadata: { uid }, status } = task
    if (isOver(status.phase)) return follows(task) ? { ...noAnswers, source: yield* followed(task) } : noAnswers
    if (status.claim !== undefined) {
      return Option.isSome(podOf(task, Option.none(), cache.pods(uid)))
        ? noAnswers
        : { ...noAnswers, pods: Option.some(Option.toArray(yield* livePod(task))) }
    }
    if (isCalledOff(task)) return noAnswers
    const job = cache.job(uid)
    if (Option.isSome(job)) {
      const before = starting(asking)
      const warning = yield* warningAbout(asking, job.value)
      return starting(asking) === before ? { ...noAnswers, warning } : yield* ask(asking) // the Job or its Pod came or went meanwhile
    }
    if (status.launches !== undefined || cache.hadJob(uid) || turns.isReserved(uid)) {
      const live = yield* liveJob(task, policy)
      if (Option.isSome(live)) return { ...noAnswers, job: live }
      if (cache.hadJob(uid) || turns.isReserved(uid)) yield* upToDate(task)
      turns.giveBack(uid)
    }
    return world.refusals.isRefused(uid) ? noAnswers : yield* askForStart(asking)
  }
)

/**
 * Reads the Job that was seen and then its Pods from the API server: the Pods come last, because a new one may appear at any time. A cached
 * Pod that is over and gone is kept, because the cache still knows how it ended. Without a Job, reads the source, the newest attempt and its
 * apply.
 */
export const askLive = Effect.fn("askLive")(
  function*(
    asking: Asking,
    seen: Option.Option<JobSeen>,
    answers: Answers
  ): Effect.fn.Return<Answers, KubernetesError | Behind, Kubernetes> {
    const { task, world: { cache } } = asking
    if (Option.isNone(seen)) {
      yield* newestUpToDate(asking)
      return { ...answers, live: true, source: yield* readSource(task), apply: yield* unnamedApply(task) }
    }
    const job = Option.some(yield* stillThere(asking.task, seen.value))
    const live = yield* podsOf(task, seen.value)
    const before = cache.pods(task.metadata.uid)
    const pods = [...live, ...before.filter((pod) => isPodOver(pod) && !live.some(({ uid }) => uid === pod.uid))]
    const uidOf = (seen: ReadonlyArray<PodSeen>) => Option.getOrUndefined(podOf(task, job, seen))?.uid
    return {
      ...noAnswers,
      live: true,
      job,
      pods: Option.some(pods),
      warning: uidOf(pods) === uidOf(before) ? answers.warning : Option.none() // it was about that Pod, or about the lack of one
    }
  }
)
