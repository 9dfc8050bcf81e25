// Which task holds a workspace, or which Pod is left of its former holder, as the Lease of the workspace and the API server say.
// A holder that the cache lacks is gone only if the API server has no such task and no Pod of it at work; the world is told at once.
// Used by controller/reconcile/ask.
import { Effect, Option, Result, Schema } from "effect"
import { taskUidLabel } from "../../core/manifest/labels.ts"
import { isEndSeen, nodeToAsk } from "../../core/reconcile/pod-end.ts"
import { holderAnnotation, holderOf, isOfTask, type Keeper, leaseName, type OtherHolder } from "../../core/scheduling/workspace-lease.ts"
import { type Changing, lastInDoubt, leftInDoubt } from "../../core/state/end-in-doubt.ts"
import { Holder } from "../../core/task/observed.ts"
import { isOver } from "../../core/task/status.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import type { KubernetesError } from "../../kubernetes/errors.ts"
import { find } from "../../kubernetes/find.ts"
import { agentTasks, decoding, leases, pods } from "../../kubernetes/kinds.ts"
import { WorkspaceLease } from "../../schema/kubernetes/kubernetes.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import { Changes } from "../../schema/task/stage-result.ts"
import type { Cache } from "../world/cache.ts"
import { projectPod } from "../world/project.ts"
import type { World } from "../world/world.ts"

const Told = Schema.Struct({
  changes: Schema.optionalKey(Changes),
  reason: Schema.optionalKey(Schema.String),
  exitCode: Schema.optionalKey(Schema.Number),
  statePushed: Schema.optionalKey(Schema.Boolean)
})
/** The fields of a task that matter for a Lease that it holds; the task may be one that this version cannot decode. */
const holders = decoding(
  agentTasks,
  Schema.Struct({
    metadata: Schema.Struct({ uid: Schema.String, deletionTimestamp: Schema.optionalKey(Schema.String) }),
    spec: Schema.optionalKey(Schema.Struct({ pool: Schema.optionalKey(Schema.Unknown), stage: Schema.optionalKey(Schema.String) })),
    status: Schema.optionalKey(Schema.Struct({
      claim: Schema.optionalKey(Schema.Unknown),
      phase: Schema.optionalKey(Schema.String),
      result: Schema.optionalKey(Told)
    }))
  })
)
const workspaceLeases = decoding(leases, WorkspaceLease)

/** Returns a Pod that was not seen to end, of a task that is gone; a Pod that cannot be decoded is one. */
const podLeftOf = Effect.fnUntraced(
  function*(namespace: string, taskUid: string, by: string): Effect.fn.Return<Option.Option<OtherHolder>, KubernetesError, Kubernetes> {
    const { items } = yield* (yield* Kubernetes).list(pods, { namespace, labelSelector: `${taskUidLabel}=${taskUid}` })
    const all = items.map((pod) => ({ pod: pod.metadata.name, seen: Option.map(Result.getSuccess(projectPod(pod)), ({ seen }) => seen) }))
    const left = all.find(({ seen }) => !Option.exists(seen, isEndSeen))
    return Option.map(
      Option.fromUndefinedOr(left),
      ({ pod, seen }) => Holder.Left({ by, pod, node: Option.match(seen, { onNone: () => "", onSome: nodeToAsk }) })
    )
  }
)

/**
 * Returns the task that keeps a Lease from `self`, or the Pod that is left of it; None if the task is over with its state in no doubt, or
 * gone with no Pod at work. A task that the cache lacks is read from the API server, and so are its Pods.
 */
const keeperOf = Effect.fnUntraced(
  function*(
    cache: Cache,
    { metadata: { namespace }, spec: { pool } }: AgentTask,
    uid: string,
    name: string
  ): Effect.fn.Return<Option.Option<Keeper>, KubernetesError, Kubernetes> {
    const keeper = (holder: Changing, by: string): Option.Option<Keeper> =>
      !isOver(holder.status?.phase)
        ? Option.some(Holder.Taken({ by }))
        : pool === undefined && leftInDoubt(holder)
        ? Option.some(Holder.InDoubt({ by }))
        : Option.none()
    const cached = cache.taskByUid(uid)
    if (Option.isSome(cached)) return keeper(cached.value, cached.value.metadata.name)
    const live = name === "" ? Option.none() : yield* find(holders, { namespace, name })
    if (Option.isSome(live) && live.value.metadata.uid === uid) return keeper(live.value, name)
    return yield* podLeftOf(namespace, uid, name)
  }
)

/**
 * Returns who holds the workspace. The world is told at once and not with the decision, which a failed read may prevent: turns depend on
 * the holder, and a task whose turn comes after the holder's does not ask again.
 */
export const workspaceHolder = Effect.fnUntraced(function*(
  { cache, turns }: Pick<World, "cache" | "turns">,
  task: AgentTask
): Effect.fn.Return<Holder, KubernetesError, Kubernetes> {
  const { namespace, uid } = task.metadata
  const { workspace } = task.spec
  const tell = (holder: Option.Option<string>): void => {
    if (Option.isSome(cache.keyOf(uid))) turns.setHolder(workspace, holder) // otherwise the world has forgotten the task, and all that is of it
  }
  const lease = yield* find(workspaceLeases, { namespace, name: leaseName(workspace) })
  if (Option.isNone(lease)) { // nobody has changed the workspace, or somebody deleted its Lease, which is no word of a person who has looked
    const doubt = task.spec.pool === undefined
      ? lastInDoubt(cache.tasks().values().filter(({ spec }) => spec.workspace === workspace))[0]
      : undefined
    tell(Option.fromUndefinedOr(doubt?.metadata.uid))
    return doubt === undefined ? Holder.Free() : Holder.InDoubt({ by: doubt.metadata.name })
  }
  const { metadata, spec } = lease.value
  const holder = spec?.holderIdentity ?? ""
  const transitions = spec?.leaseTransitions ?? 0
  const by = metadata.annotations?.[holderAnnotation] ?? ""
  if (!isOfTask({ holder, transitions }, by)) {
    tell(Option.some("")) // nobody that is known here, though it may name a task that is
    return Holder.Foreign({ lease: metadata.name })
  }
  const keeper = holder === "" || holder === uid
    ? Option.none()
    : yield* keeperOf(cache, task, holder, by)
  const found = holderOf({ holder, transitions, resourceVersion: metadata.resourceVersion }, uid, keeper)
  tell(found._tag === "Over" ? Option.none() : Option.some(holder))
  return found
})
