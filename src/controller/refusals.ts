// What it means that the API server would not make an object of ours, or that another of its name is there: words for `plan`, or an error to try again.
// Always holds: the same refusal has the same words each time, since other words would be another write of the status.
// Used by controller/execute and controller/reconcile.
import { Data, Duration, Option } from "effect"
import { askAgainMillis, type Refusal } from "../core/observed.ts"
import { type Gone, type KubernetesError, type NotFound, Rejected, type TooManyRequests, type Unreachable } from "../kubernetes/errors.ts"
import { agentTasks, type Kind } from "../kubernetes/kinds.ts"
import type { KubernetesObject } from "../kubernetes/object.ts"
import type { AgentTask } from "../schema/agent-task.ts"

/** The API server would not make a Job or a task: `plan` is asked again, with this. */
export class Refused extends Data.TaggedError("Refused")<Refusal> {}

/** The API server failed while it made a Job, and said why: the Job may be there or not. */
export class Unsure extends Data.TaggedError("Unsure")<{ readonly because: Unreachable }> {}

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

/** What an error means, where it means anything but to try again. */
const refusalOf = (error: KubernetesError): Option.Option<Refusal> => {
  if (error._tag === "Forbidden") return Option.some(refusal(error.exceedsQuota ? "QuotaExceeded" : "Forbidden", error.message))
  if (error._tag === "Rejected") return Option.some(refusal(error.isUnreadable ? "Denied" : "Forbidden", error.message)) // such as 400, from a webhook that denies without a code
  if (error._tag === "Unauthorized") return Option.some(refusal("Refused", error.message))
  if (error._tag === "NotFound" || error._tag === "Gone") return Option.some(asDenied(error))
  if (error._tag === "TooManyRequests") return Option.some(asOverload(error))
  return error._tag === "Invalid" ? Option.some(refusal("Denied", error.message)) : Option.none()
}

/** What a refusal to create a Job or a task means. */
export const refusalOr = (error: KubernetesError): Refused | KubernetesError =>
  Option.match(refusalOf(error), { onNone: () => error, onSome: (refusal) => new Refused(refusal) })

/**
 * A Lease that is gone, or that somebody else made or took, is looked at again; one that may not be written keeps its task from starting as
 * much as a Job that may not be made.
 */
export const leaseRefusalOr = (error: KubernetesError): Refused | KubernetesError =>
  error._tag === "NotFound" || error._tag === "Gone" || error._tag === "Invalid" ? error : refusalOr(error)

/** It answered that it failed, which says nothing of what it did. */
export const orUnsure = <E extends Refused | KubernetesError>(error: E): E | Unsure =>
  error._tag === "Unreachable" && error.answered === true ? new Unsure({ because: error }) : error

/** It names the task as its owner, as anybody can write, but is not what would have been made. */
const impostor = (named: string, { metadata: { name } }: AgentTask): Refusal =>
  refusal(
    "NameTaken",
    `${named} says that it is of AgentTask ${name}, but is not what that one makes; see who made it, and delete it.`
  )

/**
 * Who owns an object that has the name of ours: ourselves, if it `isSame` as what would have been made (the answer to an earlier create was
 * lost), a former task of this name, another whose name gives the same, or a stranger.
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
    return Option.some(refusal("NameTaken", `${named} exists, but no AgentTask made it; delete it, or rename the task.`))
  }
  return Option.some(refusal(
    "NameHeld",
    owner.name === task.metadata.name
      ? `${named} of a former task of this name is still there; it is made again when that one is gone.`
      : `${named} is of AgentTask ${owner.name}, whose name gives the same; rename one of the two tasks, or wait until that ${kind} is gone.`
  ))
}
