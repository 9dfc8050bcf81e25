// Gathers what `plan` needs to know of one task: from the caches, and live where a cache that lags could do harm.
// An absence that leads to an end or a take-over is always asked of the API server itself; what it learns of Jobs, slots and holders by that, it tells the world at once.
// Called by controller/reconcile, whose decision upon what was gathered is a step of its own.
import { Array, Effect, Option, Order, Result, Schema } from "effect"
import { isUnpinned, sourceSeen } from "../core/flux-source.ts"
import { attemptOf, follows } from "../core/follow.ts"
import { jobName } from "../core/job-name.ts"
import { taskUidLabel } from "../core/manifest/labels.ts"
import { Holder, type JobSeen, type Observed, type PodSeen, SourceSeen, type Warning } from "../core/observed.ts"
import { isPodOver, startTrouble } from "../core/pod-trouble.ts"
import { millisSince } from "../core/situation.ts"
import { isCalledOff, isOver } from "../core/status.ts"
import type { TaskPolicy } from "../core/task-policy.ts"
import { holderAnnotation, holderOf, leaseName, type OtherHolder } from "../core/workspace-lease.ts"
import { Kubernetes } from "../kubernetes/client.ts"
import type { KubernetesError } from "../kubernetes/errors.ts"
import { find } from "../kubernetes/find.ts"
import { agentTasks, decoding, events, fluxSources, jobs, leases, pods } from "../kubernetes/kinds.ts"
import { keyOf } from "../kubernetes/object.ts"
import { type AgentTask, mutates } from "../schema/agent-task.ts"
import { FluxObject, Job, Pod, WarningEvent, WorkspaceLease } from "../schema/kubernetes.ts"
import { Behind } from "./behind.ts"
import { jobSeen, podSeen, projectPod, taskOfJob } from "./project.ts"
import type { World } from "./world.ts"

/** A task as far as a Lease asks for it, which may be one that this version cannot read. */
const holders = decoding(
  agentTasks,
  Schema.Struct({
    metadata: Schema.Struct({ uid: Schema.String }),
    status: Schema.optionalKey(Schema.Struct({ phase: Schema.optionalKey(Schema.String) }))
  })
)
const workspaceLeases = decoding(leases, WorkspaceLease)

/** Kubernetes' own, on a Job's Pods: a task may have some of a former Job that is still on its way out. */
const jobUidLabel = "batch.kubernetes.io/controller-uid"

type Read<A, E = never> = Effect.Effect<A, KubernetesError | E, Kubernetes>

/**
 * The Pod of the claim, or of its Job's the newest of those that may still take it, else of all; of several that belong to one Job, at most
 * one holds the claim.
 */
const podOf = (task: AgentTask, job: Option.Option<JobSeen>, seen: ReadonlyArray<PodSeen>): Option.Option<PodSeen> => {
  const claim = task.status.claim
  if (claim !== undefined) return Option.fromUndefinedOr(seen.find(({ uid }) => uid === claim.podUid))
  const ofJob = seen.filter(({ owner }) => Option.exists(job, ({ uid }) => Option.contains(owner, uid)))
  const byAge = Array.sortWith(ofJob, ({ createdAt }) => createdAt, Order.String) // of one second: as they were heard of
  return Option.fromUndefinedOr(byAge.findLast((pod) => !isPodOver(pod) && !pod.deleting) ?? byAge.at(-1))
}

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

/** One of this name that is another's is none: the API server says so when it is asked to make it. */
const jobNamed = ({ metadata: { namespace, uid } }: AgentTask, name: string): Read<Option.Option<JobSeen>> =>
  Effect.map(
    find(decoding(jobs, Job), { namespace, name }),
    (found) => Option.map(Option.filter(found, (job) => Option.contains(taskOfJob(job), uid)), jobSeen)
  )

const liveJob = (task: AgentTask, { basename }: TaskPolicy): Read<Option.Option<JobSeen>> =>
  jobNamed(task, task.status.job?.name ?? jobName(basename, task.metadata.name))

/** The Job of the cache as it is now. That it is gone the world is told before this fails, since it may never hear of it otherwise. */
const stillThere = (world: World, task: AgentTask, { name, uid }: JobSeen): Read<JobSeen, Behind> => {
  const place = { namespace: task.metadata.namespace, name }
  return Effect.flatMap(jobNamed(task, name), (found) =>
    Option.match(Option.filter(found, (_) => _.uid === uid), {
      onNone: () =>
        Effect.andThen(Effect.sync(() => world.jobNotFound(task.metadata.uid, uid)), new Behind({ object: `Job ${keyOf(place)}` })),
      onSome: Effect.succeed
    }))
}

/** A Job of it went: with its task, perhaps, or with a claim or an end that is not heard of yet. */
const upToDate = ({ metadata: { name, namespace, resourceVersion, uid } }: AgentTask): Read<void, Behind> =>
  Effect.flatMap(
    find(agentTasks, { namespace, name }),
    (found) =>
      Option.exists(found, ({ metadata }) => metadata.uid === uid && metadata.resourceVersion === resourceVersion)
        ? Effect.void
        : Effect.fail(new Behind({ object: `AgentTask ${keyOf({ namespace, name })}` }))
  )

/** A Pod of a task that is gone, whatever can be read of it. */
const podLeftOf = Effect.fnUntraced(
  function*(namespace: string, taskUid: string, by: string): Effect.fn.Return<Option.Option<OtherHolder>, KubernetesError, Kubernetes> {
    const { items: [pod] } = yield* (yield* Kubernetes).list(pods, { namespace, labelSelector: `${taskUidLabel}=${taskUid}`, limit: 1 })
    if (pod === undefined) return Option.none()
    const node = Option.map(Result.getSuccess(projectPod(pod)), ({ seen }) => seen.node)
    return Option.some(Holder.Left({ by, pod: pod.metadata.name, node: Option.getOrElse(node, () => "") }))
  }
)

/**
 * The task of a Lease, unless it is over or nothing of it is left: a task that the cache lacks is looked up, and so are its Pods.
 */
const aliveOf = Effect.fnUntraced(
  function*(
    world: World,
    namespace: string,
    uid: string,
    name: string
  ): Effect.fn.Return<Option.Option<OtherHolder>, KubernetesError, Kubernetes> {
    const unlessOver = (phase: string | undefined, by: string) => isOver(phase) ? Option.none() : Option.some(Holder.Taken({ by }))
    const cached = world.taskByUid(uid)
    if (Option.isSome(cached)) return unlessOver(cached.value.status.phase, cached.value.metadata.name)
    const live = name === "" ? Option.none() : yield* find(holders, { namespace, name })
    if (Option.isSome(live) && live.value.metadata.uid === uid) return unlessOver(live.value.status?.phase, name)
    return yield* podLeftOf(namespace, uid, name)
  }
)

/**
 * The world is told who it is as soon as it is known, not when the task is decided upon, which a read that fails may prevent: turns go by
 * it, and a task whose turn comes after the holder's does not ask again.
 */
const holder = Effect.fnUntraced(function*(world: World, task: AgentTask): Effect.fn.Return<Holder, KubernetesError, Kubernetes> {
  const { namespace, uid } = task.metadata
  const { workspace } = task.spec
  const lease = yield* find(workspaceLeases, { namespace, name: leaseName(workspace) })
  if (Option.isNone(lease)) {
    world.setHolder(workspace, Option.none())
    return Holder.Free()
  }
  const { metadata, spec } = lease.value
  const holder = spec?.holderIdentity ?? ""
  const alive = holder === "" || holder === uid
    ? Option.none()
    : yield* aliveOf(world, namespace, holder, metadata.annotations?.[holderAnnotation] ?? "")
  const found = holderOf({ holder, transitions: spec?.leaseTransitions ?? 0, resourceVersion: metadata.resourceVersion }, uid, alive)
  world.setHolder(workspace, found._tag === "Over" ? Option.none() : Option.some(holder))
  return found
})

/** Read when it is needed: a cluster need not know these kinds, so there is nothing to watch. */
const source = ({ metadata: { namespace }, spec: { source: { fluxSource } } }: AgentTask): Read<SourceSeen> =>
  fluxSource === undefined
    ? Effect.succeed(SourceSeen.NotAsked())
    : find(decoding(fluxSources[fluxSource.kind], FluxObject), { namespace, name: fluxSource.name }).pipe(
      Effect.map((found) => sourceSeen(fluxSource, found)),
      Effect.catchTag(["Forbidden", "Malformed"], ({ message }) => Effect.succeed(SourceSeen.NotReady({ message, changed: false })))
    )

const decodeWarning = Schema.decodeUnknownOption(WarningEvent)
const lastSeen = ({ deprecatedLastTimestamp, eventTime, series }: WarningEvent): string =>
  series?.lastObservedTime ?? deprecatedLastTimestamp ?? eventTime ?? ""

/** A start that takes this long without a word is asked about. */
const silentMillis = 5_000

/** The newest warning about a Job without a Pod, made after the last that it had, or about a Pod that says nothing itself. */
const warningAbout = Effect.fnUntraced(function*(
  { metadata: { namespace } }: AgentTask,
  job: JobSeen,
  pod: Option.Option<PodSeen>,
  lastPodMadeAt: Option.Option<string>,
  ageMillis: number
): Effect.fn.Return<Option.Option<Warning>, KubernetesError, Kubernetes> {
  if (ageMillis < silentMillis || Option.exists(pod, (_) => Option.isSome(startTrouble(_)) || _.phase === "Running")) return Option.none()
  const uid = Option.match(pod, { onNone: () => job.uid, onSome: (_) => _.uid })
  const { items } = yield* (yield* Kubernetes).list(events, { namespace, fieldSelector: `regarding.uid=${uid},type=Warning`, limit: 50 })
  const isOld = (warning: WarningEvent) =>
    Option.isNone(pod) && Option.exists(lastPodMadeAt, (madeAt) => Date.parse(lastSeen(warning)) <= Date.parse(madeAt))
  const newest = items.flatMap((item) =>
    Option.toArray(decodeWarning(item))
  ).filter((_) => !isOld(_)).sort((a, b) => lastSeen(a) < lastSeen(b) ? 1 : -1)[0]
  return Option.map(Option.fromUndefinedOr(newest), ({ note, reason }) => ({ reason: reason ?? "", message: note ?? "" }))
})

/**
 * Also one that waits for another of its workspace, which has not begun, may hold it, since an earlier try of its own: then the other waits
 * for it, and its turn has come.
 */
const mayHold = (world: World, task: AgentTask): boolean => {
  const { metadata: { namespace }, spec: { stage, workspace } } = task
  const turn = world.turn(task)
  if (!mutates(stage) || turn._tag === "Admitted") return mutates(stage)
  const other = Option.flatMap(turn.blockedBy, (name) => world.task(keyOf({ namespace, name })))
  return turn.reason === "WorkspaceBusy" && !world.knowsHolder(workspace) && !Option.exists(other, world.occupies)
}

/**
 * What was asked of the API server. It is joined with the caches, turn included, only in the synchronous step that also decides:
 * the caches go on changing while an answer is awaited.
 */
export interface Asked {
  /** Whether Job and Pods are what the API server itself has. */
  readonly live: boolean
  readonly job: Option.Option<JobSeen>
  /** Those among which its Pod is, where the cache may be behind. */
  readonly pods: Option.Option<ReadonlyArray<PodSeen>>
  readonly holder: Holder
  readonly source: SourceSeen
  readonly warning: Option.Option<Warning>
}

const nothing: Asked = {
  live: false,
  job: Option.none(),
  pods: Option.none(),
  holder: Holder.NotAsked(),
  source: SourceSeen.NotAsked(),
  warning: Option.none()
}

/** What is said about a Job and its Pod, by events alone; an old Job is known to be so by either clock. */
const warningOf = (world: World, task: AgentTask, job: JobSeen, now: string, at: number) => {
  const [{ uid }, seen] = [task.metadata, Option.some(job)]
  return warningAbout(
    task,
    job,
    podOf(task, seen, world.pods(uid)),
    world.lastPodMadeAt(uid, seen),
    Math.max(millisSince(job.createdAt, now), world.jobKnownMillis(uid, seen, at))
  )
}

/**
 * What the API server itself has of the Job that the cache has, and of its Pods, last, since one may come at any time; of one that is gone,
 * how it ended is still known.
 */
export const askLive = Effect.fn("observe.askLive")(
  function*(
    world: World,
    task: AgentTask,
    cached: JobSeen,
    { warning }: Asked
  ): Effect.fn.Return<Asked, KubernetesError | Behind, Kubernetes> {
    const job = Option.some(yield* stillThere(world, task, cached))
    const live = yield* podsOf(task, cached)
    const before = world.pods(task.metadata.uid)
    const pods = [...live, ...before.filter((pod) => isPodOver(pod) && !live.some(({ uid }) => uid === pod.uid))]
    const uidOf = (seen: ReadonlyArray<PodSeen>) => Option.getOrUndefined(podOf(task, job, seen))?.uid
    return { ...nothing, live: true, job, pods: Option.some(pods), warning: uidOf(pods) === uidOf(before) ? warning : Option.none() } // it was about that Pod, or that there is none
  }
)

/**
 * `at` is of a monotonic clock. A slot that an earlier pass took, and of which nothing came, is given back on the way and not with the
 * decision: whether the Lease and the source are asked about goes by the turn that the task has without it.
 */
export const ask = Effect.fn("observe.ask")(
  function*(
    world: World,
    task: AgentTask,
    policy: TaskPolicy,
    now: string,
    at: number
  ): Effect.fn.Return<Asked, KubernetesError | Behind, Kubernetes> {
    const { metadata: { uid }, status } = task
    if (isOver(status.phase)) return follows(task) ? { ...nothing, source: yield* source(task) } : nothing
    if (status.claim !== undefined) {
      return Option.isSome(podOf(task, Option.none(), world.pods(uid)))
        ? nothing
        : { ...nothing, pods: Option.some(Option.toArray(yield* livePod(task))) }
    }
    if (isCalledOff(task)) return nothing
    const job = world.job(uid)
    if (Option.isSome(job)) {
      const warning = yield* warningOf(world, task, job.value, now, at)
      return Option.isSome(world.job(uid)) ? { ...nothing, warning } : yield* ask(world, task, policy, now, at) // it went meanwhile
    }
    if (world.hadJob(uid)) yield* upToDate(task)
    if (status.launches !== undefined || world.hadJob(uid) || world.isReserved(uid)) {
      const live = yield* liveJob(task, policy)
      if (Option.isSome(live)) return { ...nothing, job: live }
      world.giveBack(uid)
    }
    if (world.isRefused(uid)) return nothing
    const held = mayHold(world, task) ? { ...nothing, holder: yield* holder(world, task) } : nothing
    return world.turn(task)._tag === "Admitted" && isUnpinned(task) ? { ...held, source: yield* source(task) } : held
  }
)

/** Another Job, or one of which the cache has heard more meanwhile. */
const isFurther = ({ deleting, state, uid }: JobSeen, asked: Option.Option<JobSeen>): boolean =>
  !Option.exists(asked, (_) => _.uid === uid) || deleting || state !== "active"

/** `at` is of a monotonic clock. */
export const observe = (world: World, task: AgentTask, asked: Asked, at: number): Observed => {
  const { metadata: { namespace, uid }, status } = task
  const attempt = (name: string | undefined) =>
    Option.flatMap(Option.fromUndefinedOr(name), (name) => world.task(keyOf({ namespace, name }))).pipe(
      Option.filter((found) => found.metadata.uid === uid || Option.contains(attemptOf(found), uid)) // another may have got the name of one that was deleted
    )
  const cached = world.job(uid)
  const job = Option.orElse(Option.filter(cached, (job) => isFurther(job, asked.job)), () => asked.job)
  const pod = podOf(task, job, Option.getOrElse(asked.pods, () => world.pods(uid)))
  return {
    task,
    job,
    hadJob: world.hadJob(uid) && (Option.isSome(cached) || !asked.live), // not the one that is asked about
    jobKnownMillis: world.jobKnownMillis(uid, job, at),
    startingMillis: world.startingMillis(uid, job, at),
    pod,
    hadPod: Option.isSome(pod) || Option.isSome(world.lastPodMadeAt(uid, job)),
    turn: world.turn(task),
    holder: asked.holder,
    source: asked.source,
    latest: attempt(status.latest?.name),
    latestApply: attempt(status.latest?.apply),
    warning: asked.warning,
    refusal: world.refusal(uid, at),
    deniedMillis: world.deniedMillis(uid),
    told: world.poolTold(uid),
    expired: world.isExpired(task)
  }
}
