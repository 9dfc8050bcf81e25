// Takes work from the pool by long poll: each assignment becomes an AgentTask and its token a Secret, and only then is it acknowledged.
// A crash at any point loses nothing: an assignment that is not acknowledged is offered again, and finds its task under the same name.
// Run by controller/lifecycle/leader while it leads.
import { Clock, Data, Effect, Metric, Option, Ref, Schedule, Stream, SubscriptionRef } from "effect"
import { managedByUs } from "../../core/manifest/labels.ts"
import { ownerReference } from "../../core/manifest/owner-reference.ts"
import { cancellationOf } from "../../core/task/cancellation.ts"
import {
  belongsToAssignment,
  carriesOut,
  isRunnable,
  poolFinalizer,
  specOf,
  taskName,
  taskNameOfId,
  tokenSecretName
} from "../../core/task/intake.ts"
import { NotUnderstood, type Offer } from "../../core/task/offer.ts"
import { isOver } from "../../core/task/status.ts"
import { resultOf } from "../../core/task/task-result.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { currentInstant } from "../../kubernetes/clock.ts"
import { find } from "../../kubernetes/find.ts"
import { agentTasks, decoding, secrets } from "../../kubernetes/kinds.ts"
import { keyOf } from "../../kubernetes/object.ts"
import type { Assignment } from "../../schema/api/pool-api.ts"
import { AgentTask } from "../../schema/task/agent-task.ts"
import type { FailureReason } from "../../schema/task/reason.ts"
import { longestMessage } from "../../schema/task/stage-result.ts"
import { Configuration } from "../configuration/configuration.ts"
import type { World } from "../world/world.ts"
import { Pool } from "./pool.ts"

export interface Intake {
  readonly url: string
  /** Where tasks live. */
  readonly namespace: string
  /** Names this agent at the pool. */
  readonly identity: string
  readonly world: World
  /** Has the controller look at the task of this key. */
  readonly look: (key: string) => Effect.Effect<void>
  /** Whether the cluster is drained. While it is, this agent takes no work, so that other agents may have it. */
  readonly drained: SubscriptionRef.SubscriptionRef<boolean>
}

/**
 * How long a poll waits for work or cancellations. It is shorter than the 30 s after which many gateways end a request that has no answer,
 * such as the router of OpenShift.
 */
const waitSeconds = 20
/** How long a poll for cancellations waits while a failed one is to be tried again. */
const retrySeconds = 5
/** How many tasks of the pool may wait here beyond the limit, so that a freed slot is filled at once. */
const backlog = 100
const retry = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("5 seconds")]).pipe(Schedule.jittered)

const answeredAt = Metric.gauge("agent_job_pool_answered_timestamp_seconds", {
  description:
    "When the pool last answered the leader that asked for work, or for cancellations alone while drained or full, or else its lead began, in Unix time."
})
const answered = Effect.flatMap(Clock.currentTimeMillis, (millis) => Metric.update(answeredAt, millis / 1000))

/** Does what follows from an answer of the pool, during which this agent does not ask again, and the pool counts as answering. */
const asAnswered = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(Effect.forever(Effect.andThen(answered, Effect.sleep("1 minute"))), effect)

const tasks = decoding(agentTasks, AgentTask)

/** An object that was not made for this assignment has the derived name already. It is never adopted, nor given the token. */
class Strangers extends Data.TaggedError("Strangers")<{ readonly object: string; readonly is: string }> {
  override get message() {
    return `${this.object} is there already and ${this.is}, so nothing was run; delete it, and start the run anew.`
  }
}

/** Returns the AgentTask of an assignment, and makes it unless it was made before. */
const persist = Effect.fnUntraced(function*({ namespace, url }: Intake, assignment: Assignment) {
  const kubernetes = yield* Kubernetes
  const name = taskName(assignment)
  const object = { metadata: { name, namespace, labels: managedByUs, finalizers: [poolFinalizer] }, spec: specOf(assignment, url) }
  return yield* kubernetes.create(tasks, object).pipe(
    Effect.catchTag(
      "AlreadyExists",
      () =>
        Effect.flatMap(kubernetes.get(tasks, { name, namespace }), (task) =>
          carriesOut(task.spec, assignment)
            ? Effect.succeed(task)
            : new Strangers({ object: `AgentTask ${name}`, is: "does something else" }))
    )
  )
})

/**
 * Stores the token, which may be a new one when the assignment is offered again. The controller does not read Secrets, so the API server
 * checks whether an existing Secret belongs to the task.
 */
const keepToken = Effect.fnUntraced(function*(task: AgentTask, token: string) {
  const kubernetes = yield* Kubernetes
  const { namespace, uid } = task.metadata
  const place = { name: tokenSecretName(task.metadata.name), namespace }
  const data = { token: Buffer.from(token).toString("base64") }
  const stranger = new Strangers({ object: `Secret ${place.name}`, is: "not of its task" })
  const renewed = kubernetes.patch(secrets, place, [
    { op: "test", path: "/metadata/ownerReferences/0/uid", value: uid },
    { op: "add", path: "/data", value: data }
  ]).pipe(
    Effect.catchTag("Invalid", () => Effect.andThen(kubernetes.apply(agentTasks, cancellationOf(task)), Effect.fail(stranger))) // the task must not run with a stranger's Secret
  )
  yield* kubernetes.create(secrets, {
    metadata: { ...place, labels: managedByUs, ownerReferences: [ownerReference(task)] },
    type: "Opaque",
    data
  }).pipe(
    Effect.catchTag("AlreadyExists", () => renewed)
  )
})

const refuse = Effect.fnUntraced(function*(id: string, reason: FailureReason, message: string) {
  const pool = yield* Pool
  yield* pool.report(id, Option.none(), { outcome: "failed", reason, message, finishedAt: yield* currentInstant })
})

/**
 * Tells the pool why no agent has the run, for the people who wait for it. Best effort: the assignment is offered again, and the pool is
 * told again then.
 */
const tellWhy = Effect.fnUntraced(function*(id: string, message: string) {
  const pool = yield* Pool
  yield* Effect.catch(
    pool.wait(id, Option.none(), "Refused", message.slice(0, longestMessage)),
    (error) => Effect.logWarning(error.message)
  )
})

/**
 * Reports the result of a task that is over once more. A pool that still asks for its stage has forgotten the result, for example after a
 * restore from a backup, and `plan` does not report a result twice.
 */
const remind = Effect.fnUntraced(function*(id: string, { metadata, status }: AgentTask) {
  const pool = yield* Pool
  yield* pool.report(id, Option.some(metadata.uid), resultOf(status, yield* currentInstant))
})

/**
 * Has the controller tell the pool again why the task waits, because a pool that offers a stage forgets that. It does so whether the
 * acknowledgement arrived or not.
 */
const sayAgain = ({ look, world }: Intake, { metadata }: AgentTask) =>
  Effect.suspend(() => {
    if (Option.isNone(world.reportedWait(metadata.uid))) return Effect.void
    world.clearReportedWait(Option.some(metadata.uid))
    return look(keyOf(metadata))
  })

const accept = Effect.fn("PoolIntake.accept")(function*(intake: Intake, assignment: Assignment) {
  const { id, planSha256, stage, taskToken } = assignment
  if (!isRunnable(assignment)) {
    return yield* refuse(
      id,
      "InvalidConfiguration",
      `The ${stage} stage ${planSha256 === undefined ? "needs an approved plan" : "cannot be given a plan"}; nothing was run.`
    )
  }
  const pool = yield* Pool
  const kept = Effect.tap(persist(intake, assignment), (task) => keepToken(task, taskToken))
  const task = yield* Effect.tapError(kept, (error) => error._tag === "Strangers" ? Effect.void : tellWhy(id, error.message))
  yield* Effect.ensuring(pool.acknowledge(id, task.metadata.uid), sayAgain(intake, task)) // it is refused when another agent was faster or the state is in doubt; the worker of this task hears the same and ends the task
  if (isOver(task.status.phase)) yield* remind(id, task)
}, (accepted, _, { id }) => Effect.catchTag(accepted, "Strangers", ({ message }) => refuse(id, "NameTaken", message)))

/** How many offers that are not understood are remembered, so that each is logged once. Later ones are not logged. */
const mostNotUnderstood = 100

/** Returns what tells people, in the run and once in the log, why the controller cannot take an offer. */
const makeTeller = () => {
  const logged = new Set<string>()
  const log = ({ id = "", message }: NotUnderstood) => {
    if (logged.has(id) || logged.size >= mostNotUnderstood) return Effect.void
    logged.add(id)
    return Effect.annotateLogs(Effect.logWarning(message), { assignment: id })
  }
  return (offer: NotUnderstood) =>
    Effect.andThen(Effect.suspend(() => log(offer)), offer.id === undefined ? Effect.void : tellWhy(offer.id, offer.message))
}

/** Accepts what is offered. What fails or is not understood is offered again; it must not keep the others waiting. */
const acceptAll = (intake: Intake, offers: ReadonlyArray<Offer>, tellNotUnderstood: ReturnType<typeof makeTeller>) =>
  Effect.forEach(
    offers,
    (offer) =>
      offer instanceof NotUnderstood
        ? tellNotUnderstood(offer)
        : Effect.catch(accept(intake, offer), ({ message }) =>
          Effect.logWarning(message).pipe(Effect.annotateLogs({ assignment: offer.id }))),
    { concurrency: 8, discard: true }
  )

/**
 * Returns how many tasks of the pool wait here. A task of Git or of a person does not count, whatever it waits for, so that it keeps no run
 * from being taken.
 */
const waitingOfPool = ({ world }: Intake): number =>
  world.turns.waiting().filter((key) => Option.exists(world.cache.task(key), ({ spec }) => spec.pool !== undefined)).length

const room = (intake: Intake) =>
  Effect.gen(function*() {
    const { policy } = yield* (yield* Configuration).current
    return policy.limits.total + backlog - waitingOfPool(intake)
  })

/** Returns what the pool is told while this agent asks for no work. */
const restingOf = Effect.fnUntraced(function*(intake: Intake) {
  const agent = intake.identity
  if (yield* SubscriptionRef.get(intake.drained)) return { agent, because: "drained" as const }
  return (yield* room(intake)) <= 0 ? { agent, because: "full" as const } : undefined
})

const untilDrainedIs = ({ drained }: Intake, wanted: boolean) =>
  Stream.runHead(Stream.filter(SubscriptionRef.changes(drained), (isDrained) => isDrained === wanted))

const take = Effect.fnUntraced(function*(intake: Intake, tellNotUnderstood: ReturnType<typeof makeTeller>) {
  if (yield* SubscriptionRef.get(intake.drained)) return yield* untilDrainedIs(intake, false)
  const free = yield* room(intake)
  if (free <= 0) return yield* Effect.sleep("1 second")
  const pool = yield* Pool
  const asked = pool.acquire(intake.identity, waitSeconds, Math.min(free, 100))
  const offers = yield* Effect.raceFirst(asked, Effect.as(untilDrainedIs(intake, true), []))
  yield* asAnswered(acceptAll(intake, offers, tellNotUnderstood))
})

/**
 * Cancels the task of a stage. If the task was never made, this reports the stage as cancelled, because no worker will. A stranger's task
 * of its name is not cancelled.
 */
const cancel = Effect.fn("PoolIntake.cancel")(function*({ namespace }: Intake, id: string) {
  const kubernetes = yield* Kubernetes
  const pool = yield* Pool
  const name = taskNameOfId(id)
  if (Option.isNone(name)) return
  const found = Option.filter(yield* find(tasks, { namespace, name: name.value }), ({ spec }) => belongsToAssignment(spec, id))
  if (Option.isSome(found)) {
    return yield* isOver(found.value.status.phase)
      ? remind(id, found.value)
      : kubernetes.apply(agentTasks, cancellationOf(found.value))
  }
  yield* pool.report(id, Option.none(), {
    outcome: "cancelled",
    reason: "Cancelled",
    message: "Cancelled before it started; nothing was run.",
    finishedAt: yield* currentInstant
  })
})

/** How far the feed of cancellations was followed, and the ids of those that could not be carried out yet. */
interface Followed {
  readonly after: number
  readonly failed: ReadonlyArray<string>
}

/** Carries out the next cancellations, and tries those that failed once more. One that fails again must not keep the others waiting. */
const followCancellations = Effect.fnUntraced(function*(intake: Intake, { after, failed }: Followed) {
  const pool = yield* Pool
  const resting = yield* restingOf(intake)
  const { ids, next } = yield* pool.cancellations(after, failed.length === 0 ? waitSeconds : retrySeconds, resting)
  if (resting !== undefined) yield* answered
  const fails = (id: string) =>
    Effect.as(cancel(intake, id), false).pipe(
      Effect.catch(({ message }) => Effect.logWarning(message).pipe(Effect.annotateLogs({ assignment: id }), Effect.as(true)))
    )
  return { after: next, failed: yield* Effect.filter(new Set([...failed, ...ids]), fails, { concurrency: 8 }) }
})

/** Tries a step until it succeeds. The backoff starts anew with the next step. */
const persistently = <A, E extends { readonly message: string }, R>(step: Effect.Effect<A, E, R>) =>
  step.pipe(Effect.tapError(({ message }) => Effect.logWarning(message)), Effect.retry(retry))

/** Takes assignments and cancellations until interrupted. */
export const poolIntake = Effect.fnUntraced(function*(intake: Intake) {
  yield* answered
  const followed = yield* Ref.make<Followed>({ after: 0, failed: [] })
  const cancellations = Ref.get(followed).pipe(
    Effect.flatMap((before) => persistently(followCancellations(intake, before))),
    Effect.flatMap((next) => Ref.set(followed, next))
  )
  const taking = persistently(take(intake, makeTeller()))
  return yield* Effect.all([Effect.forever(taking), Effect.forever(cancellations)], { concurrency: 2, discard: true })
})
