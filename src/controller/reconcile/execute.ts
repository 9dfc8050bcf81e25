// Carries out the actions of `plan`. Only controller/pool, which makes tasks, not-understood and the election of kubernetes/lease write to the cluster too.
// Every write fails safe: a create has a derived name, the version seen guards a take-over and a delete that a claim may forestall, and the UID any delete.
// Called by controller/reconcile/reconcile.
import { Context, Effect, Layer, Option, Result } from "effect"
import { job } from "../../core/manifest/job.ts"
import { managedByUs } from "../../core/manifest/labels.ts"
import { ownerReference } from "../../core/manifest/owner-reference.ts"
import { Action, type Notice } from "../../core/reconcile/action.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import { launchLimitMillis } from "../../core/scheduling/draining.ts"
import { leaseOf } from "../../core/scheduling/workspace-lease.ts"
import { cancellationOf } from "../../core/task/cancellation.ts"
import { poolFinalizer } from "../../core/task/intake.ts"
import type { JobSeen } from "../../core/task/observed.ts"
import { isOver } from "../../core/task/status.ts"
import { endInPlainReasons } from "../../core/task/task-result.ts"
import { doesTheSame, isJobOfStored, withTextsOf } from "../../core/task/task-spec.ts"
import { type Guard, Kubernetes } from "../../kubernetes/client.ts"
import { microTime } from "../../kubernetes/clock.ts"
import type { KubernetesError } from "../../kubernetes/errors.ts"
import { agentTasks, decoding, jobs, type Kind, leases } from "../../kubernetes/kinds.ts"
import { SinceRenewal } from "../../kubernetes/lease.ts"
import { keyOf, type KubernetesObject, type NamespacedName, type Writable } from "../../kubernetes/object.ts"
import { writeStatus } from "../../kubernetes/write-status.ts"
import { Uid } from "../../schema/names.ts"
import { AgentTask, type AgentTaskSpec, type AgentTaskStatus } from "../../schema/task/agent-task.ts"
import { makePoolReports, type PoolSilent, type ReportError } from "../pool/pool-reports.ts"
import { Behind } from "./behind.ts"
import { emit } from "./event.ts"
import { deletionRefusalOr, leaseRefusalOr, orUnsure, refusalBy, refusalOr, type Unsure, WriteRefused } from "./refusals.ts"

type Failure = WriteRefused | Unsure | PoolSilent | Behind | KubernetesError | ReportError

export type JobMade = Pick<JobSeen, "name" | "uid">

/** The configuration and the time of one pass over a task: they are the same from its look at the task to its last write. */
export interface Pass {
  readonly config: ResolvedConfig
  readonly now: string
}

export class Executor extends Context.Service<Executor, {
  /**
   * Carries out the actions in their order and stops at the first that fails. Returns the Job that was made, if any, before an informer
   * reports it.
   */
  readonly all: (task: AgentTask, actions: ReadonlyArray<Action>, pass: Pass) => Effect.Effect<Option.Option<JobMade>, Failure>
  /** Tells a notice, by best effort. Returns whether it was heard or never will be, so that it need not be said again. */
  readonly say: (task: AgentTask, notice: Notice, pass: Pass) => Effect.Effect<boolean>
  /** Returns the new resource version of the task. */
  readonly writeStatus: (task: AgentTask, status: AgentTaskStatus) => Effect.Effect<string, KubernetesError>
}>()("agent-job/controller/Executor") {
  /** `identity` names this controller in events. */
  static readonly layer = (identity: string) => Layer.effect(Executor, make(identity))
}

const tasks = decoding(agentTasks, AgentTask)

const nameOf = ({ metadata: { name, namespace } }: AgentTask) => ({ name, namespace })

const make = Effect.fnUntraced(function*(identity: string) {
  const kubernetes = yield* Kubernetes
  const { report, reportWait } = yield* makePoolReports

  /**
   * Makes an object that the task owns, under its derived name. If the task owns an object of that name already and it is the same, an
   * earlier try made it and the answer was lost; that object is returned. Any other object of that name is a refusal.
   */
  const makeOwned = <O extends Writable & { readonly metadata: NamespacedName }>(
    kind: Kind<KubernetesObject>,
    task: AgentTask,
    object: O,
    isSame: (found: KubernetesObject) => boolean = () => true
  ): Effect.Effect<KubernetesObject, WriteRefused | KubernetesError> =>
    kubernetes.create(kind, object).pipe(
      Effect.mapError(refusalOr),
      Effect.catchTag(
        "AlreadyExists",
        Effect.fnUntraced(function*(error) {
          const found = yield* kubernetes.get(kind, object.metadata)
          const refusal = refusalBy(kind.kind, found, task, isSame(found))
          if (Option.isSome(refusal)) return yield* new WriteRefused(refusal.value)
          yield* Effect.logInfo("it was made by an earlier try", error)
          return found
        })
      )
    )

  /**
   * Returns the task with the spec that is stored, of which no cache has all. It fails with `NotFound` if that task is gone, and with
   * `Behind` if another has its name by now.
   */
  const asStored = Effect.fnUntraced(function*(task: AgentTask) {
    const stored = yield* kubernetes.get(tasks, nameOf(task))
    if (stored.metadata.uid !== task.metadata.uid) return yield* new Behind({ object: `AgentTask ${keyOf(task.metadata)}` })
    return stored
  })

  /**
   * Fails with `Behind` if the lead was lost so long ago that the next leader may take it for granted that no Job comes of it. This process
   * may have been stopped in the middle of a pass.
   */
  const unlessLongLost = Effect.flatMap(
    Effect.flatten(SinceRenewal),
    (millis) => millis > launchLimitMillis ? new Behind({ object: "The Lease of the leading controller" }) : Effect.void
  )

  const createJob = Effect.fnUntraced(function*(task: AgentTask, config: ResolvedConfig, epoch: number) {
    const wanted = job(isJobOfStored(task.spec) ? yield* asStored(task) : task, config, epoch)
    yield* unlessLongLost // last, since the task may have been asked for before the process was stopped
    return yield* makeOwned(jobs, task, wanted).pipe(
      Effect.map(({ metadata: { name, uid } }) => Option.map(Uid.makeOption(uid), (uid) => ({ name, uid }))),
      Effect.mapError(orUnsure)
    )
  })

  /**
   * Makes another task that the task owns, without the labels and annotations by which a GitOps tool knows its own objects. It fails with
   * `Behind` also if the task has changed since the decision, for example because it was called off.
   */
  const createTask = Effect.fnUntraced(function*(task: AgentTask, name: string, cached: AgentTaskSpec) {
    const stored = yield* asStored(task)
    if (stored.metadata.resourceVersion !== task.metadata.resourceVersion) {
      return yield* new Behind({ object: `AgentTask ${keyOf(task.metadata)}` })
    }
    const spec = withTextsOf(stored.spec, cached)
    const metadata = {
      name,
      namespace: task.metadata.namespace,
      labels: managedByUs,
      ownerReferences: [{ ...ownerReference(task), controller: true }]
    }
    return yield* makeOwned(
      agentTasks,
      task,
      { metadata, spec },
      (found) => Option.exists(Result.getSuccess(tasks.decode(found)), (of) => doesTheSame(of.spec, spec))
    )
  })

  const takeWorkspace = (task: AgentTask, { epoch, from }: Extract<Action, { readonly _tag: "TakeWorkspace" }>, now: string) => {
    const lease = leaseOf(task, epoch, microTime(Date.parse(now)))
    return from._tag === "Over" // applied, so that fields which others wrote stay
      ? kubernetes.apply(leases, { ...lease, metadata: { ...lease.metadata, resourceVersion: from.resourceVersion } })
      : kubernetes.create(leases, lease)
  }

  const release = (task: AgentTask) =>
    Effect.flatMap(
      kubernetes.get(agentTasks, nameOf(task)),
      (found) =>
        found.metadata.uid !== task.metadata.uid
          ? Effect.void
          : kubernetes.update(agentTasks, {
            ...found,
            metadata: { ...found.metadata, finalizers: (found.metadata.finalizers ?? []).filter((_) => _ !== poolFinalizer) }
          })
    )

  /** Runs an action that makes no Job. */
  const withoutJob = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<Option.Option<JobMade>, E> => Effect.as(effect, Option.none())
  /** Runs an action that makes no Job and has nothing to do once its object is gone. */
  const unlessNotFound = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E | KubernetesError>) =>
    Effect.catchTag(withoutJob(effect), "NotFound", () => Effect.succeedNone)

  /**
   * Deletes the Job. No worker can claim a task that is over, and one that was claimed when this was decided loses its Job only after its
   * worker. Any other task is read from the API server first, because the cache may lag behind a claim, and a claim keeps the Job; the
   * event of the claim brings the task back. A request that comes late or is repeated takes no Job from a later claim either: its Job had
   * no Pod at work when it was looked up, before the task was read, and the Job controller has changed its status, and so its version, by
   * the time that a Pod which it made since then can claim.
   */
  const deleteJob = (task: AgentTask, { name, resourceVersion, uid }: Extract<Action, { readonly _tag: "DeleteJob" }>) => {
    const deletion = (guard: Guard) =>
      Effect.mapError(kubernetes.delete(jobs, { name, namespace: task.metadata.namespace }, guard), deletionRefusalOr)
    return isOver(task.status.phase) || task.status.claim !== undefined
      ? deletion({ uid })
      : Effect.flatMap(
        kubernetes.get(tasks, nameOf(task)),
        ({ metadata, status }) =>
          metadata.uid === task.metadata.uid && status.claim === undefined
            ? deletion({ uid, resourceVersion })
            : Effect.logInfo("its Job stays, since a Pod of it has taken the task meanwhile")
      )
  }

  const execute = (task: AgentTask, { config, now }: Pass) =>
    Action.$match({
      TakeWorkspace: (action): Effect.Effect<Option.Option<JobMade>, Failure> =>
        withoutJob(Effect.mapError(takeWorkspace(task, action, now), (error) => orUnsure(leaseRefusalOr(error)))),
      CreateJob: ({ epoch }) => createJob(task, config, epoch),
      DeleteJob: (action) => unlessNotFound(deleteJob(task, action)),
      CreateTask: ({ name, spec }) => withoutJob(createTask(task, name, spec)),
      Cancel: ({ name, uid }) =>
        unlessNotFound(kubernetes.apply(agentTasks, cancellationOf({ metadata: { ...task.metadata, name, uid } }))),
      ReportResult: (action) => withoutJob(report(task, action)),
      Release: () => unlessNotFound(release(task)),
      DeleteTask: () => unlessNotFound(kubernetes.delete(agentTasks, nameOf(task), { uid: task.metadata.uid }))
    })

  return Executor.of({
    all: Effect.fn("Executor.all")((task, actions, pass) => Effect.map(Effect.forEach(actions, execute(task, pass)), Option.firstSomeOf)),
    say: (task, notice, { now }) =>
      notice._tag === "Emit"
        ? Effect.as(emit(kubernetes, task, notice, identity, now), true) // also if that failed, so that it is tried only once
        : reportWait(task, notice),
    writeStatus: Effect.fn("Executor.writeStatus")((task, status) =>
      Effect.map(
        writeStatus(kubernetes, agentTasks, task, status, endInPlainReasons(task.status, status)),
        ({ metadata }) => metadata.resourceVersion
      )
    )
  })
})
