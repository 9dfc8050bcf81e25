// Accepts what the pool offers: an assignment becomes an AgentTask and its token a Secret, and only then is it acknowledged.
// A crash at any point loses nothing: an assignment that is not acknowledged is offered again, and finds its task under the same name.
// Used by controller/pool/pool-intake.
import { Data, Effect, Option } from "effect"
import { managedByUs } from "../../core/manifest/labels.ts"
import { ownerReference } from "../../core/manifest/owner-reference.ts"
import { cancellationOf } from "../../core/task/cancellation.ts"
import { carriesOut, isRunnable, poolFinalizer, specOf, taskName, tokenSecretName } from "../../core/task/intake.ts"
import { NotUnderstood, type Offer } from "../../core/task/offer.ts"
import { isOver } from "../../core/task/status.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { agentTasks, decoding, secrets } from "../../kubernetes/kinds.ts"
import { keyOf } from "../../kubernetes/object.ts"
import type { Assignment } from "../../schema/api/pool-api.ts"
import { AgentTask } from "../../schema/task/agent-task.ts"
import type { World } from "../world/world.ts"
import { refuse, remind, tellWhy } from "./assignment-reports.ts"
import { Pool } from "./pool.ts"

/** Where assignments become tasks. */
export interface TaskPlace {
  readonly url: string
  /** Where tasks live. */
  readonly namespace: string
  readonly world: World
  /** Has the controller look at the task of this key. */
  readonly look: (key: string) => Effect.Effect<void>
}

const tasks = decoding(agentTasks, AgentTask)

/** An object that was not made for this assignment has the derived name already. It is never adopted, nor given the token. */
class NameTaken extends Data.TaggedError("NameTaken")<{ readonly object: string; readonly is: string }> {
  override get message() {
    return `${this.object} is there already and ${this.is}, so nothing was run; delete it, and start the run anew.`
  }
}

/** Returns the AgentTask of an assignment, and makes it unless it was made before. */
const persist = Effect.fnUntraced(function*({ namespace, url }: TaskPlace, assignment: Assignment) {
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
            : new NameTaken({ object: `AgentTask ${name}`, is: "does something else" }))
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
  const stranger = new NameTaken({ object: `Secret ${place.name}`, is: "not of its task" })
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

/** Has the controller tell the pool again why the task waits, and so who has it. */
export const sayAgain = ({ look, world }: Pick<TaskPlace, "look" | "world">, { metadata }: AgentTask) =>
  Effect.suspend(() => {
    if (Option.isNone(world.reportedWait(metadata.uid))) return Effect.void
    world.clearReportedWait(metadata.uid)
    return look(keyOf(metadata))
  })

const accept = Effect.fn("Assignment.accept")(function*(where: TaskPlace, assignment: Assignment) {
  const { id, planSha256, stage, taskToken } = assignment
  if (!isRunnable(assignment)) {
    return yield* refuse(
      id,
      "InvalidConfiguration",
      `The ${stage} stage ${planSha256 === undefined ? "needs an approved plan" : "cannot be given a plan"}; nothing was run.`
    )
  }
  const pool = yield* Pool
  const kept = Effect.tap(persist(where, assignment), (task) => isOver(task.status.phase) ? Effect.void : keepToken(task, taskToken))
  const task = yield* Effect.tapError(kept, (error) => error._tag === "NameTaken" ? Effect.void : tellWhy(id, error.message))
  if (isOver(task.status.phase)) return yield* remind(id, task) // never acknowledged: it is offered, and its result told, until that is heard
  // A pool that offers a stage forgets why it waits, whether the acknowledgement arrives or not.
  yield* Effect.ensuring(pool.acknowledge(id, task.metadata.uid), sayAgain(where, task)) // it is refused when another agent was faster or the state is in doubt; the worker of this task hears the same and ends the task
}, (accepted, _, { id }) => Effect.catchTag(accepted, "NameTaken", ({ message }) => refuse(id, "NameTaken", message)))

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

/** Returns what accepts offers. What fails or is not understood is offered again; it must not keep the others waiting. */
export const makeAcceptor = (where: TaskPlace) => {
  const tellNotUnderstood = makeTeller()
  const acceptOne = (offer: Offer) =>
    offer instanceof NotUnderstood
      ? tellNotUnderstood(offer)
      : Effect.catch(accept(where, offer), ({ message }) => Effect.logWarning(message).pipe(Effect.annotateLogs({ assignment: offer.id })))
  return (offers: ReadonlyArray<Offer>) => Effect.forEach(offers, acceptOne, { concurrency: 8, discard: true })
}
