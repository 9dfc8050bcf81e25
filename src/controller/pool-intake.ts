// Takes work from the pool by long poll: each assignment becomes an AgentTask and its token a Secret, and only then is it acknowledged.
// A crash at any point loses nothing: what is not acknowledged is offered again, and finds its task under the same name.
// Run by controller/controller while it leads.
import { DateTime, Effect, Option, Ref, Schedule } from "effect"
import { isRunnable, specOf, taskName, taskNameOfId, tokenSecretName } from "../core/intake.ts"
import { managedByUs } from "../core/manifest/labels.ts"
import { ownerReference } from "../core/manifest/owner-reference.ts"
import { Kubernetes } from "../kubernetes/client.ts"
import { agentTasks, secrets } from "../kubernetes/kinds.ts"
import type { KubernetesObject } from "../kubernetes/object.ts"
import type { Assignment } from "../schema/pool-api.ts"
import { Configuration } from "./configuration.ts"
import { cancelTask, poolFinalizer } from "./execute.ts"
import { Pool } from "./pool.ts"
import type { World } from "./world.ts"

export interface Intake {
  readonly url: string
  /** Where tasks live. */
  readonly namespace: string
  /** Names this agent at the pool. */
  readonly identity: string
  readonly world: World
}

const waitSeconds = 30
/** Beyond the limit this many may wait here, so that a freed slot is filled at once. */
const backlog = 100
const retry = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("5 seconds")]).pipe(Schedule.jittered)

const now = Effect.map(DateTime.now, DateTime.formatIso)

/** The AgentTask of an assignment: made, or found when it was made before. */
const persist = Effect.fnUntraced(function*({ namespace, url }: Intake, assignment: Assignment) {
  const kubernetes = yield* Kubernetes
  const name = taskName(assignment)
  const object = { metadata: { name, namespace, labels: managedByUs, finalizers: [poolFinalizer] }, spec: specOf(assignment, url) }
  return yield* kubernetes.create(agentTasks, object).pipe(
    Effect.catchTag("AlreadyExists", () => kubernetes.get(agentTasks, { name, namespace }))
  )
})

/** The token may be a new one when the assignment is offered again. */
const keepToken = (task: KubernetesObject, token: string) =>
  Effect.flatMap(Kubernetes, (kubernetes) =>
    kubernetes.apply(secrets, {
      metadata: {
        name: tokenSecretName(task.metadata.name),
        namespace: task.metadata.namespace,
        labels: managedByUs,
        ownerReferences: [ownerReference(task)]
      },
      type: "Opaque",
      stringData: { token }
    }))

const accept = Effect.fn("PoolIntake.accept")(function*(intake: Intake, assignment: Assignment) {
  const pool = yield* Pool
  if (!isRunnable(assignment)) {
    return yield* pool.report(assignment.id, Option.none(), {
      outcome: "failed",
      reason: "InvalidConfiguration",
      message: `A ${assignment.stage} stage ${assignment.planSha256 === undefined ? "needs an approved plan" : "cannot be given a plan"}; nothing was run.`,
      finishedAt: yield* now
    })
  }
  const task = yield* persist(intake, assignment)
  yield* keepToken(task, assignment.taskToken)
  yield* pool.acknowledge(assignment.id, task.metadata.uid) // refused: another agent was faster; this task's worker hears the same and ends it
})

/** One assignment that fails is offered again; it must not keep the others waiting. */
const acceptAll = (intake: Intake, assignments: ReadonlyArray<Assignment>) =>
  Effect.forEach(assignments, (assignment) =>
    Effect.catch(accept(intake, assignment), ({ message }) => Effect.logWarning(message).pipe(Effect.annotateLogs({ assignment: assignment.id }))), { concurrency: 8, discard: true })

const room = ({ world }: Intake) =>
  Effect.gen(function*() {
    const { policy } = yield* (yield* Configuration).current
    return policy.limits.total + backlog - world.waiting().length
  })

const take = Effect.fnUntraced(function*(intake: Intake) {
  const free = yield* room(intake)
  if (free <= 0) return yield* Effect.sleep("1 second")
  const pool = yield* Pool
  yield* acceptAll(intake, yield* pool.acquire(intake.identity, waitSeconds, Math.min(free, 100)))
})

/** A task that never came to be is reported as cancelled, since nobody else would. */
const cancel = Effect.fn("PoolIntake.cancel")(function*({ namespace }: Intake, id: string) {
  const kubernetes = yield* Kubernetes
  const pool = yield* Pool
  const name = taskNameOfId(id)
  if (Option.isNone(name)) return
  yield* kubernetes.get(agentTasks, { namespace, name: name.value }).pipe(
    Effect.flatMap((task) => cancelTask(kubernetes, task)),
    Effect.catchTag("NotFound", () => Effect.flatMap(now, (finishedAt) =>
      pool.report(id, Option.none(), { outcome: "cancelled", reason: "Cancelled", message: "Cancelled before it started; nothing was run.", finishedAt })))
  )
})

/** The next cancellations after the cursor; gives the new cursor. */
const followCancellations = Effect.fnUntraced(function*(intake: Intake, after: number) {
  const pool = yield* Pool
  const { ids, next } = yield* pool.cancellations(after, waitSeconds)
  yield* Effect.forEach(ids, (id) => cancel(intake, id), { discard: true })
  return next
})

/** Each step is tried until it succeeds; the backoff starts anew with the next. */
const persistently = <A, E extends { readonly message: string }, R>(step: Effect.Effect<A, E, R>) =>
  step.pipe(Effect.tapError(({ message }) => Effect.logWarning(message)), Effect.retry(retry))

/** Takes assignments and cancellations until interrupted. */
export const poolIntake = Effect.fnUntraced(function*(intake: Intake) {
  const cursor = yield* Ref.make(0)
  const cancellations = Ref.get(cursor).pipe(Effect.flatMap((after) => persistently(followCancellations(intake, after))), Effect.flatMap((next) => Ref.set(cursor, next)))
  return yield* Effect.all([Effect.forever(persistently(take(intake))), Effect.forever(cancellations)], { concurrency: 2, discard: true })
})
