// Gathers what `plan` needs to know of one task: from the caches, and live where a cache that lags could do harm.
// An absence that leads to an end or a take-over is always asked of the API server itself.
// Called by controller/reconcile.
import { Effect, Option } from "effect"
import { Holder, type JobSeen, type Observed, type PodSeen } from "../core/observed.ts"
import { isOver } from "../core/status.ts"
import { type Fate, holderOf, leaseName } from "../core/workspace-lease.ts"
import { Kubernetes } from "../kubernetes/client.ts"
import type { KubernetesError } from "../kubernetes/errors.ts"
import { agentTasks, decoding, jobs, type Kind, leases, pods } from "../kubernetes/kinds.ts"
import type { KubernetesObject, Place } from "../kubernetes/object.ts"
import type { AgentTask } from "../schema/agent-task.ts"
import { WorkspaceLease } from "../schema/kubernetes.ts"
import { projectJob, projectPod, taskUidLabel } from "./project.ts"
import type { World } from "./world.ts"

const workspaceLeases = decoding(leases, WorkspaceLease)
/** On a workspace's Lease: the name of the task that holds it. */
export const holderAnnotation = "scalr.io/holder"

type Read<A> = Effect.Effect<A, KubernetesError, Kubernetes>

const find = <A>(kind: Kind<A>, place: Place): Read<Option.Option<A>> =>
  Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.get(kind, place)).pipe(
    Effect.map(Option.some),
    Effect.catchTag("NotFound", () => Effect.succeedNone)
  )

/** The Pod of the claim, or the newest; of several that belong to one Job, at most one holds the claim. */
const podOf = (task: AgentTask, seen: ReadonlyArray<PodSeen>): Option.Option<PodSeen> => {
  const claim = task.status.claim
  return claim === undefined ? Option.fromUndefinedOr(seen.at(-1)) : Option.fromUndefinedOr(seen.find(({ uid }) => uid === claim.podUid))
}

const livePod = (task: AgentTask): Read<Option.Option<PodSeen>> => {
  const { claim, pod } = task.status
  if (claim === undefined || pod === undefined) return Effect.succeedNone
  return Effect.map(find(pods, { namespace: task.metadata.namespace, name: pod.name }), (found) =>
    found.pipe(
      Option.flatMap((object) => Option.getSuccess(projectPod(object))),
      Option.map(({ seen }) => seen),
      Option.filter(({ uid }) => uid === claim.podUid)
    ))
}

const liveJob = (task: AgentTask): Read<Option.Option<JobSeen>> => {
  const { job } = task.status
  if (job === undefined) return Effect.succeedNone
  return Effect.map(find(jobs, { namespace: task.metadata.namespace, name: job.name }), (found) =>
    Option.map(Option.flatMap(found, (object) => Option.getSuccess(projectJob(object))), ({ seen }) => seen))
}

/** What became of the task that a Lease names: a task that the cache lacks is looked up, and so are its Pods. */
const fateOf = Effect.fnUntraced(function*(world: World, namespace: string, uid: string, name: string): Effect.fn.Return<Fate, KubernetesError, Kubernetes> {
  const cached = world.taskByUid(uid)
  if (Option.isSome(cached)) return isOver(cached.value.status.phase) ? { fate: "over" } : { fate: "alive", name: cached.value.metadata.name }
  const live = name === "" ? Option.none<KubernetesObject>() : yield* find(agentTasks, { namespace, name })
  if (Option.exists(live, ({ metadata }) => metadata.uid === uid)) return { fate: "alive", name }
  const { items } = yield* (yield* Kubernetes).list(pods, { namespace, labelSelector: `${taskUidLabel}=${uid}`, limit: 1 })
  return items.length === 0 ? { fate: "gone" } : { fate: "alive", name }
})

const holder = Effect.fnUntraced(function*(world: World, task: AgentTask): Effect.fn.Return<Holder, KubernetesError, Kubernetes> {
  const { namespace, uid } = task.metadata
  const lease = yield* find(workspaceLeases, { namespace, name: leaseName(task.spec.workspace) })
  if (Option.isNone(lease)) return Holder.Free()
  const { metadata, spec } = lease.value
  const holder = spec?.holderIdentity ?? ""
  const fate: Fate = holder === "" || holder === uid ? { fate: "gone" } : yield* fateOf(world, namespace, holder, metadata.annotations?.[holderAnnotation] ?? "")
  return holderOf(Option.some({ holder, transitions: spec?.leaseTransitions ?? 0, resourceVersion: metadata.resourceVersion }), uid, () => fate)
})

/**
 * What was asked of the API server. It is joined with the caches, turn included, only in the synchronous step that also decides:
 * the caches go on changing while an answer is awaited.
 */
export interface Asked {
  readonly job: Option.Option<JobSeen>
  readonly pod: Option.Option<PodSeen>
  readonly holder: Holder
}

export const ask = Effect.fn("observe.ask")(function*(world: World, task: AgentTask): Effect.fn.Return<Asked, KubernetesError, Kubernetes> {
  const { metadata: { uid }, spec, status } = task
  const nothing: Asked = { job: Option.none(), pod: Option.none(), holder: Holder.NotAsked() }
  if (isOver(status.phase)) return nothing
  if (status.claim !== undefined) return Option.isSome(podOf(task, world.pods(uid))) ? nothing : { ...nothing, pod: yield* livePod(task) }
  if (Option.isSome(world.job(uid))) return nothing
  if ((status.launches ?? 0) > 0) {
    const job = yield* liveJob(task)
    if (Option.isSome(job)) return { ...nothing, job }
  }
  const mayStart = spec.stage !== "plan" && spec.cancel !== true && world.turn(task)._tag === "Admitted"
  return mayStart ? { ...nothing, holder: yield* holder(world, task) } : nothing
})

export const observe = (world: World, task: AgentTask, asked: Asked): Observed => {
  const { uid } = task.metadata
  return {
    task,
    job: Option.orElse(world.job(uid), () => asked.job),
    pod: Option.orElse(podOf(task, world.pods(uid)), () => asked.pod),
    turn: world.turn(task),
    holder: asked.holder,
    refusal: world.refusal(uid),
    expired: world.isExpired(task)
  }
}
