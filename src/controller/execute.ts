// Carries out what `plan` asked for: beside pool-intake, which makes the tasks, the only place of the controller that writes to the cluster.
// Every write fails safe: a create goes by its derived name, a take-over by the version seen, a delete by UID.
// Called by controller/reconcile.
import { Context, Data, Duration, Effect, Layer, Option, Result } from "effect"
import { Action, type Word } from "../core/action.ts"
import { fingerprint } from "../core/fingerprint.ts"
import { job } from "../core/manifest/job.ts"
import { managedByUs } from "../core/manifest/labels.ts"
import { ownerReference } from "../core/manifest/owner-reference.ts"
import { askAgainMillis, type JobSeen, type Refusal } from "../core/observed.ts"
import type { ResolvedConfig } from "../core/resolve.ts"
import { shortenedInBytes } from "../core/sentence.ts"
import { isOver } from "../core/status.ts"
import { doesTheSame, withTextsOf } from "../core/task-spec.ts"
import { leaseName } from "../core/workspace-lease.ts"
import { Kubernetes } from "../kubernetes/client.ts"
import { microTime, monotonicMillis } from "../kubernetes/clock.ts"
import { type Gone, type KubernetesError, type NotFound, Rejected, type TooManyRequests, type Unreachable } from "../kubernetes/errors.ts"
import { agentTasks, decoding, events, jobs, type Kind, leases } from "../kubernetes/kinds.ts"
import { keyOf, type KubernetesObject, type Place, type Writable } from "../kubernetes/object.ts"
import { AgentTask, type AgentTaskSpec, type AgentTaskStatus } from "../schema/agent-task.ts"
import { Behind } from "./behind.ts"
import { makeBreaker } from "./breaker.ts"
import { holderAnnotation } from "./observe.ts"
import { isNo, isUnknown, Pool, PoolChanged, type PoolError, PoolMissing, PoolUnreachable } from "./pool.ts"
import { projectJob } from "./project.ts"

/** The API server would not make a Job or a task: `plan` is asked again, with this. */
export class Refused extends Data.TaggedError("Refused")<Refusal> {}

/** The API server failed while it made a Job, and said why: the Job may be there or not. */
export class Unsure extends Data.TaggedError("Unsure")<{ readonly because: Unreachable }> {}

/** The pool has not answered another just now, so it was not asked. */
export class PoolSilent extends Data.TaggedError("PoolSilent")<{ readonly againInMillis: number }> {}

type Failure = Refused | Unsure | PoolSilent | Behind | KubernetesError | PoolError

/** What one pass over a task goes by, the same from its look at the task to its last write. */
export interface Pass {
  readonly config: ResolvedConfig
  readonly now: string
}

export interface Settings {
  /** Names this controller in events. */
  readonly identity: string
}

export class Executor extends Context.Service<Executor, {
  /** Carries the actions out in their order and stops at the first that fails; gives the Job that was made, before an informer sees it. */
  readonly all: (task: AgentTask, actions: ReadonlyArray<Action>, pass: Pass) => Effect.Effect<Option.Option<JobSeen>, Failure>
  /** Best effort: whether it was heard, or never will be, so that it need not be said again. */
  readonly say: (task: AgentTask, word: Word, pass: Pass) => Effect.Effect<boolean>
  /** Gives the version that the task has from now on. */
  readonly writeStatus: (task: AgentTask, status: AgentTaskStatus) => Effect.Effect<string, KubernetesError>
}>()("agent-job/controller/Executor") {
  static readonly layer = (settings: Settings) => Layer.effect(Executor, make(settings))
}

const tasks = decoding(agentTasks, AgentTask)

/** For a word on a wait: a pool whose network swallows packets must not hold the few passes that go on at once, */
const waitLimit = Duration.seconds(2)
/** nor for a result, which it may take a while to store: a little less than the client waits for any answer; */
const reportLimit = Duration.seconds(14)
/** nor may each of a thousand tasks find that out for itself. What fails sooner than this holds up nobody. */
const slowMillis = 1000
const restMillis = 30_000

/** Of an event, in UTF-8. */
const longestNote = 1024
/** Of the 253 characters of a name, what leaves room for a fingerprint of up to seven. */
const mostOfName = 245
const eventName = ({ metadata: { name } }: AgentTask, suffix: string): string =>
  `${name.slice(0, mostOfName).replace(/[-.]+$/u, "")}.${suffix}`

const placeOf = ({ metadata: { name, namespace } }: AgentTask) => ({ name, namespace })

/**
 * Asks the worker of a pool's task to stop; forced, since we made the task. Guarded by the uid, so that a later one of the same name is not
 * meant.
 */
export const cancelTask = (
  kubernetes: Kubernetes["Service"],
  { metadata: { name, namespace, uid } }: { readonly metadata: Place & { readonly uid: string } }
) => kubernetes.apply(agentTasks, { metadata: { name, namespace, uid }, spec: { cancel: true } })

const refusal = (kind: Refusal["kind"], message: string, atLeastMillis = 0): Refusal => ({
  kind,
  message,
  againInMillis: Math.max(askAgainMillis, atLeastMillis)
})

/** What to create cannot be missing: these are codes that a webhook denies with, or its namespace is what is not there. */
const asDenied = ({ code, detail, object, reason, verb }: NotFound | Gone): Refusal =>
  refusal("Refused", new Rejected({ verb, object, code, reason, detail }).message)

/** Without its delay, which would be other words each time. */
const asOverload = ({ object, retryAfter, verb }: TooManyRequests): Refusal =>
  refusal(
    "Refused",
    `Cannot ${verb} ${object}: the API server is overloaded; it is asked again when it allows that.`,
    Duration.toMillis(retryAfter)
  )

/**
 * Who owns an object that has our name: ourselves (the answer to an earlier create was lost), a former task of this name, another whose
 * name gives the same, or a stranger.
 */
const refusalBy = (kind: Kind<unknown>["kind"], found: KubernetesObject, task: AgentTask): Option.Option<Refusal> => {
  const owner = found.metadata.ownerReferences?.find(({ controller }) => controller === true)
  const named = `${kind} ${found.metadata.name}`
  if (owner?.uid === task.metadata.uid) return Option.none()
  if (owner?.kind !== agentTasks.kind) {
    return Option.some(refusal("NameTaken", `${named} exists, but no AgentTask made it; delete it, or rename the task.`))
  }
  return Option.some(refusal(
    "NameHeld",
    owner.name === task.metadata.name
      ? `${named} of a former task of this name is still there; it is made again when that one is gone.`
      : `${named} is of AgentTask ${owner.name}, whose name gives the same; rename one of the two tasks, or wait until that ${kind} is gone.`
  ))
}

/** It names the task as its owner, as anybody can write, but is not what would have been made. */
const impostor = (kind: Kind<unknown>["kind"], found: KubernetesObject, { metadata: { name } }: AgentTask): Refusal =>
  refusal(
    "NameTaken",
    `${kind} ${found.metadata.name} says that it is of AgentTask ${name}, but is not what that one makes; see who made it, and delete it.`
  )

/** What a refusal to create means, where it means anything but an error to try again. */
const refusalOf = (error: KubernetesError): Option.Option<Refusal> => {
  if (error._tag === "Forbidden") return Option.some(refusal(error.exceedsQuota ? "QuotaExceeded" : "Refused", error.message))
  if (error._tag === "Rejected") return Option.some(refusal(error.isUnreadable ? "Denied" : "Refused", error.message)) // such as 400, from a webhook that denies without a code
  if (error._tag === "Unauthorized") return Option.some(refusal("Refused", error.message))
  if (error._tag === "NotFound" || error._tag === "Gone") return Option.some(asDenied(error))
  if (error._tag === "TooManyRequests") return Option.some(asOverload(error))
  return error._tag === "Invalid" ? Option.some(refusal("Denied", error.message)) : Option.none()
}

const refusalOr = (error: KubernetesError): Refused | KubernetesError =>
  Option.match(refusalOf(error), { onNone: () => error, onSome: (refusal) => new Refused(refusal) })

/**
 * A Lease that is gone, or that somebody else made or took, is looked at again; one that may not be written keeps its task from starting as
 * much as a Job that may not be made.
 */
const leaseRefusalOr = (error: KubernetesError): Refused | KubernetesError =>
  error._tag === "NotFound" || error._tag === "Gone" || error._tag === "Invalid" ? error : refusalOr(error)

/** It answered that it failed, which says nothing of what it did. */
const orUnsure = <E extends Refused | KubernetesError>(error: E): E | Unsure =>
  error._tag === "Unreachable" && error.answered === true ? new Unsure({ because: error }) : error

const make = Effect.fnUntraced(function*({ identity }: Settings) {
  const kubernetes = yield* Kubernetes
  const pool = yield* Effect.serviceOption(Pool)
  const withPool = <E>(
    use: (pool: Pool["Service"]) => Effect.Effect<void, PoolError | E>,
    otherwise: Effect.Effect<void, PoolError> = Effect.void
  ) => Option.match(pool, { onNone: () => otherwise, onSome: use })

  /** What keeps words on waits from it need not keep a result, which it has more time to take. */
  const words = makeBreaker({ restMillis, askMillis: Duration.toMillis(waitLimit) })
  const results = makeBreaker({ restMillis, askMillis: Duration.toMillis(reportLimit) })

  /** That the pool knows is written after this, and lets the task go: so not where there is none to be told. */
  const report = ({ metadata, spec }: AgentTask, { assignment, result }: Extract<Action, { readonly _tag: "ReportResult" }>) => {
    const from = spec.pool?.url ?? ""
    const advice = { task: keyOf(metadata), finalizer: poolFinalizer }
    const tell = Effect.fnUntraced(function*(pool: Pool["Service"]): Effect.fn.Return<void, PoolError | PoolSilent> {
      const askedAt = yield* monotonicMillis
      const againInMillis = results.waitMillis(askedAt)
      if (againInMillis > 0) return yield* new PoolSilent({ againInMillis })
      const heard = Effect.sync(() => results.answered())
      yield* pool.report(assignment, Option.some(metadata.uid), result, from).pipe(
        Effect.catchIf(isUnknown, ({ url }) => Effect.fail(new PoolChanged({ url, from, ...advice }))),
        Effect.timeoutOrElse({
          duration: reportLimit,
          orElse: () => Effect.fail(new PoolUnreachable({ url: from, detail: `no answer in ${Duration.format(reportLimit)}` }))
        }),
        Effect.tap(heard),
        Effect.tapError(({ _tag }) =>
          _tag !== "PoolUnreachable"
            ? heard
            : Effect.map(monotonicMillis, (at) => at - askedAt < slowMillis ? results.answered() : results.silent(at))
        )
      )
    })
    return withPool(tell, Effect.fail(new PoolMissing({ url: from, ...advice })))
  }

  /**
   * Makes an object that the task owns, under its derived name; one that is there and that the task owns was made by an earlier try, whose
   * answer was lost, if it is the same.
   */
  const makeOwned = <O extends Writable & { readonly metadata: Place }>(
    kind: Kind<KubernetesObject>,
    task: AgentTask,
    object: O,
    isSame: (found: KubernetesObject) => boolean = () => true
  ): Effect.Effect<KubernetesObject, Refused | KubernetesError> =>
    kubernetes.create(kind, object).pipe(
      Effect.catch((error): Effect.Effect<KubernetesObject, Refused | KubernetesError> =>
        error._tag !== "AlreadyExists"
          ? Effect.fail(refusalOr(error))
          : Effect.flatMap(kubernetes.get(kind, object.metadata), (found) =>
            Option.match(
              Option.orElse(
                refusalBy(kind.kind, found, task),
                () => isSame(found) ? Option.none() : Option.some(impostor(kind.kind, found, task))
              ),
              {
                onSome: (refusal) => Effect.fail(new Refused(refusal)),
                onNone: () => Effect.as(Effect.logInfo("it was made by an earlier try", error), found)
              }
            ))
      )
    )

  const createJob = (task: AgentTask, config: ResolvedConfig, epoch: number) => {
    const wanted = job(task, config, epoch)
    const place = { name: wanted.metadata?.name ?? "", namespace: task.metadata.namespace }
    return makeOwned(jobs, task, { ...wanted, metadata: { ...wanted.metadata, ...place } }).pipe(
      Effect.map((made) => Option.map(Result.getSuccess(projectJob(made)), ({ seen }) => seen)),
      Effect.mapError(orUnsure)
    )
  }

  /**
   * Another task of ours: none of the labels and annotations that a GitOps tool knows its own objects by. The values of its variables are
   * read now, since no cache has them; and with them whether the task is still what was decided upon, as one that is called off is not.
   */
  const createTask = (task: AgentTask, name: string, cached: AgentTaskSpec) =>
    Effect.flatMap(kubernetes.get(tasks, placeOf(task)), (stored): Effect.Effect<unknown, Refused | Behind | KubernetesError> => {
      const { resourceVersion, uid } = stored.metadata
      if (uid !== task.metadata.uid || resourceVersion !== task.metadata.resourceVersion) {
        return Effect.fail(new Behind({ object: `AgentTask ${keyOf(task.metadata)}` }))
      }
      const spec = withTextsOf(stored.spec, cached)
      const metadata = {
        name,
        namespace: task.metadata.namespace,
        labels: managedByUs,
        ownerReferences: [{ ...ownerReference(task), controller: true }]
      }
      return makeOwned(
        agentTasks,
        task,
        { metadata, spec },
        (found) => Option.exists(Result.getSuccess(tasks.decode(found)), (of) => doesTheSame(of.spec, spec))
      )
    })

  const takeWorkspace = (task: AgentTask, { epoch, from }: Extract<Action, { readonly _tag: "TakeWorkspace" }>, now: string) => {
    const lease = {
      metadata: {
        name: leaseName(task.spec.workspace),
        namespace: task.metadata.namespace,
        labels: managedByUs,
        annotations: { [holderAnnotation]: task.metadata.name, "scalr.io/workspace": task.spec.workspace }
      },
      spec: { holderIdentity: task.metadata.uid, leaseTransitions: epoch, acquireTime: microTime(Date.parse(now)) }
    }
    return from._tag === "Over" // applied, so that what others wrote on it stays
      ? kubernetes.apply(leases, { ...lease, metadata: { ...lease.metadata, resourceVersion: from.resourceVersion } })
      : kubernetes.create(leases, lease)
  }

  const notHeard = (why: string) =>
    Effect.logWarning(why).pipe(Effect.andThen(monotonicMillis), Effect.map((at) => words.silent(at)), Effect.as(false))
  const heard = Effect.sync(() => words.answered())

  const reportWait = Effect.fnUntraced(
    function*(task: AgentTask, { assignment, message, reason }: Extract<Word, { readonly _tag: "ReportWait" }>) {
      if (words.waitMillis(yield* monotonicMillis) > 0) return false
      return yield* withPool((pool) => pool.wait(assignment, Option.some(task.metadata.uid), reason, message)).pipe(
        Effect.andThen(heard),
        Effect.as(true),
        Effect.timeoutOrElse({
          duration: waitLimit,
          orElse: () =>
            notHeard(
              `The pool has not answered in ${Duration.format(waitLimit)}, so it may not know why AgentTask ${
                keyOf(task.metadata)
              } waits; check the server and the network between.`
            )
        }),
        Effect.catch((error) =>
          isNo(error) ? Effect.as(Effect.andThen(heard, Effect.logWarning(error.message)), true) : notHeard(error.message)
        )
      )
    }
  )

  const emit = (task: AgentTask, { message, reason, type }: Extract<Word, { readonly _tag: "Emit" }>, now: string) =>
    kubernetes.create(events, {
      metadata: { name: eventName(task, fingerprint(`${task.metadata.uid} ${reason} ${message}`)), namespace: task.metadata.namespace },
      regarding: {
        apiVersion: agentTasks.apiVersion,
        kind: agentTasks.kind,
        ...placeOf(task),
        uid: task.metadata.uid,
        resourceVersion: task.metadata.resourceVersion
      },
      reportingController: "scalr.io/agent-job",
      reportingInstance: identity,
      action: "Reconcile",
      eventTime: microTime(Date.parse(now)),
      note: shortenedInBytes(message, longestNote),
      reason,
      type
    }).pipe(Effect.catchTag("AlreadyExists", () => Effect.void), Effect.catch((error) => Effect.logWarning(error.message)), Effect.as(true))

  const release = (task: AgentTask) =>
    Effect.flatMap(
      kubernetes.get(agentTasks, placeOf(task)),
      (found) =>
        found.metadata.uid !== task.metadata.uid
          ? Effect.void
          : kubernetes.update(agentTasks, {
            ...found,
            metadata: { ...found.metadata, finalizers: (found.metadata.finalizers ?? []).filter((_) => _ !== poolFinalizer) }
          })
    )

  /** Of an action that makes no Job, */
  const done = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<Option.Option<JobSeen>, E> => Effect.as(effect, Option.none())
  /** and that has nothing to do once its object is gone. */
  const gone = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E | KubernetesError>) =>
    Effect.catchTag(done(effect), "NotFound", () => Effect.succeedNone)

  const deletion = (task: AgentTask, { name, uid }: Extract<Action, { readonly _tag: "DeleteJob" }>) =>
    kubernetes.delete(jobs, { name, namespace: task.metadata.namespace }, { uid })

  /**
   * Nobody can claim a task that is over. Of another the cache may lag behind a claim, which keeps the Job; its event brings the task back.
   */
  const deleteJob = (task: AgentTask, action: Extract<Action, { readonly _tag: "DeleteJob" }>) =>
    isOver(task.status.phase)
      ? deletion(task, action)
      : Effect.flatMap(kubernetes.get(tasks, placeOf(task)), ({ metadata, status }) =>
        metadata.uid === task.metadata.uid && status.claim === undefined
          ? deletion(task, action)
          : Effect.logInfo("its Job stays, since a Pod of it has taken the task meanwhile"))

  const execute = (task: AgentTask, { config, now }: Pass) =>
    Action.$match({
      TakeWorkspace: (action): Effect.Effect<Option.Option<JobSeen>, Failure> =>
        done(Effect.mapError(takeWorkspace(task, action, now), (error) => orUnsure(leaseRefusalOr(error)))),
      CreateJob: ({ epoch }) => createJob(task, config, epoch),
      DeleteJob: (action) => gone(deleteJob(task, action)),
      CreateTask: ({ name, spec }) => done(createTask(task, name, spec)),
      Cancel: () => gone(cancelTask(kubernetes, task)),
      ReportResult: (action) => done(report(task, action)),
      Release: () => gone(release(task)),
      DeleteTask: () => gone(kubernetes.delete(agentTasks, placeOf(task), { uid: task.metadata.uid }))
    })

  return Executor.of({
    all: Effect.fn("Executor.all")((task, actions, pass) => Effect.map(Effect.forEach(actions, execute(task, pass)), Option.firstSomeOf)),
    say: (task, word, { now }) => word._tag === "Emit" ? emit(task, word, now) : reportWait(task, word),
    writeStatus: Effect.fn("Executor.writeStatus")((task, status) => {
      const { name, namespace, resourceVersion, uid } = task.metadata
      const written = kubernetes.updateStatus(agentTasks, { metadata: { name, namespace, resourceVersion, uid }, spec: task.spec, status })
      return Effect.map(written, ({ metadata }) => metadata.resourceVersion)
    })
  })
})

/** Keeps a deleted task of a pool until the pool knows how it ended. */
export const poolFinalizer = "scalr.io/report"
