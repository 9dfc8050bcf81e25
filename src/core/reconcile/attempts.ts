// The names and kinship of attempts, tasks of their own that a task makes at new artifacts of its source, and of their applies.
// Names are derived, so that one that was made is found again; and checked, because anyone can write an owner reference.
// Used by core/reconcile/follow, core/reconcile/history, controller/reconcile/ask, controller/reconcile/observe, controller/world/mirror and cli/cluster/tasks.
import { Option } from "effect"
import { controllingOwner } from "../../schema/kubernetes/owner.ts"
import { agentTaskResource, type Uid } from "../../schema/names.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import { cutName } from "../text/cut-name.ts"

/** Reports whether the task is to make attempts at new artifacts of its source. */
export const isFollower = ({ spec: { source } }: AgentTask): boolean => (source.fluxSource?.onChange ?? "none") !== "none"

/** Returns the UID of the task that this one is an attempt of, or none. */
export const attemptOf = ({ metadata: { ownerReferences } }: AgentTask): Option.Option<Uid> =>
  Option.map(controllingOwner(ownerReferences, agentTaskResource.kind), ({ uid }) => uid)

/**
 * How many of the 253 characters of a name its base may take. The base of an attempt is shorter, so that the name of its apply never cuts
 * off its number.
 */
const mostOf = { attempt: 230, apply: 245 }

const named = (name: string, most: number, suffix: string): string => `${cutName(name, most)}-${suffix}`
/** Returns the name of the attempt of this number at the source of the task of that name. */
export const attemptName = (name: string, attempt: number): string => named(name, mostOf.attempt, String(attempt))
/** Returns the name of the task that applies the plan of the task of that name. */
export const applyName = (plan: string): string => named(plan, mostOf.apply, "apply")
/** Returns the number of the next attempt; the first one is the task itself. */
export const nextAttempt = ({ spec, status: { latest } }: AgentTask): number => (latest?.attempt ?? spec.attempt ?? 1) + 1

/**
 * Returns the names that the newest attempt and its apply may have. The status may not name yet what was made last: a crash, or a cancel,
 * may come between the making and the write of the status.
 */
export const madeNames = (task: AgentTask): Readonly<Record<"attempt" | "apply", ReadonlyArray<string>>> => {
  const { metadata: { name }, spec, status: { latest } } = task
  const isCancelled = isFollower(task) && spec.cancel === true
  return {
    attempt: [...isCancelled ? [attemptName(name, nextAttempt(task))] : [], ...latest === undefined ? [] : [latest.name]],
    apply: latest?.apply !== undefined ? [latest.apply] : isFollower(task) ? [applyName(latest?.name ?? name)] : []
  }
}

/**
 * Reports whether `follower`, which the task names as its owner, made it, as an attempt or as the apply of one. The name tells, because
 * anyone can write an owner reference.
 */
export const isAttemptOf = (follower: AgentTask, task: AgentTask): boolean => {
  const { metadata: { name }, spec, status: { latest } } = follower
  const attempt = task.spec.attempt ?? 1
  const plan = attempt === (spec.attempt ?? 1) ? name : attemptName(name, attempt) // the first attempt is the task itself
  return attempt <= (latest?.attempt ?? 0) && task.metadata.name === (task.spec.stage === "plan" ? plan : applyName(plan))
}
