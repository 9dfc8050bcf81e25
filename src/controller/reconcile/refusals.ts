// What it means that the API server refuses to make or show an object, or has another one of its name: a refusal for `plan`, or an error after which to retry.
// Invariant: the same refusal has the same words each time, since other words would be another write of the status.
// Used by controller/reconcile/ask, controller/reconcile/execute and controller/reconcile/reconcile.
import { Data, Duration, Option } from "effect"
import { askAgainMillis, isForGood, type Refusal } from "../../core/task/observed.ts"
import {
  type Gone,
  type KubernetesError,
  type NotFound,
  Rejected,
  type TooManyRequests,
  type Unreachable
} from "../../kubernetes/errors.ts"
import { agentTasks, type Kind } from "../../kubernetes/kinds.ts"
import type { KubernetesObject } from "../../kubernetes/object.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"

/** The API server refused to make a Job or a task, to delete a Job, or to write a Lease. `plan` decides again, with this refusal. */
export class WriteRefused extends Data.TaggedError("WriteRefused")<Refusal> {}

/** The API server refused to show who holds a workspace, or what a source has. `plan` decides again, with this refusal. */
export class ReadRefused extends Data.TaggedError("ReadRefused")<Refusal> {}

/** The API server answered that it failed to make a Job or to write a Lease. The write may have happened or not. */
export class Unsure extends Data.TaggedError("Unsure")<{ readonly because: Unreachable }> {}

const refusal = (kind: Refusal["kind"], message: string, atLeastMillis = 0): Refusal => ({
  kind,
  message,
  againInMillis: Math.max(askAgainMillis, atLeastMillis)
})

/** An object that is to be created cannot be missing: a webhook denied it with this code, or its namespace is missing. */
const asRefused = ({ code, detail, object, reason, verb }: NotFound | Gone): Refusal =>
  refusal("Refused", new Rejected({ verb, object, code, reason, detail }).message)

/** The message leaves out the delay, which would be other words each time. */
const asOverload = ({ object, retryAfter, verb }: TooManyRequests): Refusal =>
  refusal(
    "Refused",
    `Cannot ${verb} ${object}: the API server is overloaded; it is asked again when it allows that.`,
    Duration.toMillis(retryAfter)
  )

/** Returns the refusal that an error means; None if the error only means to try again. */
const refusalOf = (error: KubernetesError): Option.Option<Refusal> => {
  if (error._tag === "Forbidden") return Option.some(refusal(error.exceedsQuota ? "QuotaExceeded" : "Denied", error.message))
  if (error._tag === "Rejected") return Option.some(refusal(error.isUnreadable ? "Invalid" : "Denied", error.message)) // such as 400, from a webhook that denies without a code
  if (error._tag === "Unauthorized") return Option.some(refusal("Refused", error.message))
  if (error._tag === "NotFound" || error._tag === "Gone") return Option.some(asRefused(error))
  if (error._tag === "TooManyRequests") return Option.some(asOverload(error))
  return error._tag === "Invalid" ? Option.some(refusal("Invalid", error.message)) : Option.none()
}

/** Returns `WriteRefused` for an error that refuses to create a Job or a task, and any other error as it is. */
export const refusalOr = (error: KubernetesError): WriteRefused | KubernetesError =>
  Option.match(refusalOf(error), { onNone: () => error, onSome: (refusal) => new WriteRefused(refusal) })

/** Returns a refusal that others can mend: what was wrong is not of the task alone, as with a Lease or a source, which others write too. */
const unlessForGood = (refused: Refusal): Refusal => isForGood(refused) ? { ...refused, kind: "Denied" } : refused

/**
 * Returns `WriteRefused` for an error that refuses to write a Lease: this keeps the task from starting as much as a Job that may not be
 * made. A Lease that is gone, or that another task made or took, is looked at again.
 */
export const leaseRefusalOr = (error: KubernetesError): WriteRefused | KubernetesError =>
  error._tag === "NotFound" || error._tag === "Gone"
    ? error
    : Option.match(refusalOf(error), { onNone: () => error, onSome: (refused) => new WriteRefused(unlessForGood(refused)) })

/** Returns `WriteRefused` for an error that refuses to delete a Job. A failure is one too: a Job that was deleted all the same shows that. */
export const deletionRefusalOr = (error: KubernetesError): WriteRefused | KubernetesError => {
  if (error._tag === "NotFound" || error._tag === "Gone") return error
  const refused = error._tag === "Unreachable" && error.answered === true
    ? Option.some(refusal("Refused", error.message))
    : Option.map(refusalOf(error), unlessForGood)
  return Option.match(refused, { onNone: () => error, onSome: (refused) => new WriteRefused({ ...refused, ofDeletion: true }) })
}

/**
 * Returns `ReadRefused` for an answer that would be the same to each further look, and any other error as it is. A task that only tried
 * again would keep its place before all others, and say nothing.
 */
export const readRefusalOr = (error: KubernetesError): ReadRefused | KubernetesError => {
  switch (error._tag) {
    case "Malformed":
      return new ReadRefused(refusal("Denied", error.message))
    case "Forbidden":
    case "Rejected":
    case "Invalid":
    case "NotFound":
      return Option.match(refusalOf(error), { onNone: () => error, onSome: (refused) => new ReadRefused(unlessForGood(refused)) })
    default:
      return error
  }
}

/** Returns `Unsure` if the API server answered that it failed, because that does not tell what it did. */
export const orUnsure = <E extends WriteRefused | KubernetesError>(error: E): E | Unsure =>
  error._tag === "Unreachable" && error.answered === true ? new Unsure({ because: error }) : error

/** The refusal for an object that names the task as its owner, as anybody can write, but is not what the task would have made. */
const impostor = (named: string, { metadata: { name } }: AgentTask): Refusal =>
  refusal(
    "NameTaken",
    `${named} says that it is of AgentTask ${name}, but is not what that one makes; see who made it, and delete it.`
  )

/**
 * Returns the refusal for an object that has the name of ours already. It may belong to a former task of this name, to another task which
 * needs the same name, or to a stranger. None if it is our own and `isSame` as what would have been made: the answer to an earlier create
 * was lost.
 */
export const refusalBy = (
  kind: Kind<unknown>["kind"],
  found: KubernetesObject,
  task: AgentTask,
  isSame: boolean
): Option.Option<Refusal> => {
  const owner = found.metadata.ownerReferences?.find(({ controller }) => controller === true)
  const named = `${kind} ${found.metadata.name}`
  if (owner?.uid === task.metadata.uid) return isSame ? Option.none() : Option.some(impostor(named, task))
  if (owner?.kind !== agentTasks.kind) {
    return Option.some(
      refusal("NameTaken", `${named} exists, but no AgentTask made it; delete it, or make the task again under another name.`)
    )
  }
  return Option.some(refusal(
    "NameHeld",
    owner.name === task.metadata.name
      ? `${named} of a former task of this name is still there; it is made again when that one is gone.`
      : `${named} belongs to AgentTask ${owner.name}, and this task needs the same name for its ${kind}; wait until that ${kind} is gone, or make one of the two tasks again under another name.`
  ))
}
