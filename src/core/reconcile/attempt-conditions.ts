// What the conditions of a task that follows its source say of its attempts, in place of the task's own end.
// Invariant: phase, reason, message and result stay those of the task itself.
// Used by core/reconcile/follow and core/reconcile/over.
import { Option } from "effect"
import type { AgentTask, AgentTaskStatus } from "../../schema/task/agent-task.ts"
import type { Reason, WaitReason } from "../../schema/task/reason.ts"
import { acknowledged, conditionsAfter, fitting, isKnown, isOver, type Told } from "../task/status.ts"
import { andThen } from "./response.ts"

/** Returns the status of a task that is over, with conditions made from `told`. The rest of the status stays. */
const saying = (
  { metadata: { generation }, status }: AgentTask,
  told: Pick<Told, "message" | "phase" | "reason" | "stalled">,
  now: string
): AgentTaskStatus => ({
  ...status,
  observedGeneration: generation,
  conditions: conditionsAfter(status, { ...told, generation, now })
})

const makeAnew = "delete the task that follows the source and make it again"
const onceMore = `To have its artifact planned once more, ${makeAnew}, or wait for the next artifact of its source.`

/**
 * Returns the status with conditions that speak of another task: the newest attempt, or its apply. If that did not succeed, no other is made
 * of its artifact, whatever its own message says to do next.
 */
export const reflected = (
  task: AgentTask,
  of: Pick<AgentTask, "status"> & { readonly metadata: Pick<AgentTask["metadata"], "name"> },
  now: string
): AgentTaskStatus => {
  const { conditions = [], message = "Nobody has looked at it yet.", phase = "Pending", reason = "Accepted" } = of.status
  const stalled = conditions.some((_) => _.type === "Stalled" && _.status === "True")
  const told = `${of.metadata.name}: ${message}`
  const failed = isOver(phase) && phase !== "Succeeded"
  return saying(task, { phase, reason, message: failed ? andThen(told, onceMore) : fitting(told), stalled }, now)
}

/** By which the conditions of `doubted` are told from those of other ends. */
const toDelete = ({ metadata: { namespace } }: AgentTask, name: string): string => `kubectl -n ${namespace} delete atask ${name}`

/** Returns the status with conditions that speak of an apply after which a person has to decide. */
export const doubted = (task: AgentTask, of: AgentTask, now: string): AgentTaskStatus => {
  const { metadata: { name }, status: { message = "", phase = "Failed", reason = "Lost" } } = of
  const command = toDelete(task, name)
  const next =
    `Nothing more of the source is planned, and nothing else applied to the workspace, before you have looked for what the apply made, brought the state up to date, and deleted that task: ${command}`
  return saying(task, { phase, reason, message: andThen(`${name}: ${message}`, next) }, now)
}

/** Returns the status that goes on saying how the attempt or apply called `name` ended, which is gone; if it asked to be deleted, that it was. */
export const remembered = (task: AgentTask, name: string, now: string): AgentTaskStatus => {
  const { metadata: { generation }, status } = task
  const asking = status.conditions?.find((_) => isKnown(_) && _.message.endsWith(toDelete(task, name)))
  if (asking === undefined) return acknowledged(status, generation)
  const message =
    `${name} was deleted, so the next artifact of the source is planned. To have the present one planned once more, ${makeAnew}.`
  return saying(task, { phase: "Failed", reason: asking.reason, message }, now)
}

/** Why the plan of the newest attempt is not applied. `stalled` says that a person is needed. */
export type Why = Pick<Told, "message" | "stalled">

/** Only a source that is ready says that it has nothing newer. */
export const unready = (message: string): Why => ({
  message: `Its plan will be applied once the source is ready and has nothing newer. ${message}`
})

/** Nobody knows what an old plan changes. */
export const outdated: Why = {
  message:
    `Its plan is not applied: its changes could not be counted, and it ended more than an hour ago. Unless it was applied by hand, ${makeAnew}, or wait for the next artifact of its source.`,
  stalled: true
}

/** Whoever called the plan off does not want it applied, however late that came. */
export const revoked: Why = {
  message: `Its plan is not applied, since it was cancelled or deleted. ${onceMore}`,
  stalled: true
}

/** Returns the status with conditions that say why the newest attempt's plan is not applied. */
export const unapplied = (task: AgentTask, { metadata: { name } }: AgentTask, { message, ...why }: Why, now: string): AgentTaskStatus =>
  saying(task, { phase: "Pending", reason: "SourceNotReady", message: fitting(`${name}: ${message}`), ...why }, now)

/**
 * Returns the status with conditions that say that an attempt is made again, since it was disrupted or does not fit any more; `lack` is what
 * the source lacks for that, if anything.
 */
export const toBeMadeAgain = (task: AgentTask, { metadata: { name }, status }: AgentTask, lack: Option.Option<string>, now: string) => {
  const { message = "", reason = "Lost" } = status
  const ended = `${name}: ${message}`
  return saying(task, {
    phase: "Pending",
    ...Option.match(lack, {
      onNone: () => ({ reason, message: andThen(ended, "It is planned again.") }),
      onSome: (lack) => ({
        reason: "SourceNotReady",
        message: fitting(`${andThen(ended, "It is planned again once the source is ready.")} ${lack}`)
      })
    })
  }, now)
}

/**
 * Returns the status with conditions that say why the next attempt cannot be made. `stalled` says that a person is needed. The reason is one
 * for which a task waits even then, so that no end of an attempt looks the same.
 */
export const unattempted = (
  task: AgentTask,
  { message, reason, stalled }: { readonly message: string; readonly reason: WaitReason; readonly stalled: boolean },
  now: string
): AgentTaskStatus =>
  saying(task, { phase: "Pending", reason, message: fitting(`Its next attempt cannot be made. ${message}`), stalled }, now)

/** Reasons for which a task that is not over may need a person. */
const interim: ReadonlyArray<string> = [
  "NodeUnreachable",
  "SourceNotReady",
  "Refused",
  "StateRescuePending",
  "StateUnsaved"
] satisfies ReadonlyArray<Reason>

/**
 * Reports whether the conditions speak of another task that is under way, if only on a node that does not answer, or that cannot be made, or
 * of a plan that is not applied. They are no longer true once that task is gone or not wanted any more.
 */
export const isInterim = ({ conditions = [] }: AgentTaskStatus): boolean =>
  conditions.filter(isKnown).some(({ reason, status, type }) => (type === "Reconciling" && status === "True") || interim.includes(reason))

/**
 * Returns the status with conditions that say that the attempt called `name` was deleted before this task could tell how it ended, or apply
 * what it planned.
 */
export const lostSight = (task: AgentTask, name: string, now: string): AgentTaskStatus =>
  saying(
    task,
    {
      phase: "Failed",
      reason: "Lost",
      message: fitting(
        `${name} was deleted before its end was seen or its plan was applied. Check what it did; then delete this task and make it again, or wait for the next artifact of its source.`
      )
    },
    now
  )

/** Returns the status with the task's own conditions again, once there is no other task to speak of and none is wanted. */
export const ownAgain = (task: AgentTask, now: string): AgentTaskStatus => {
  const { message = "", phase = "Pending", reason = "Accepted" } = task.status
  return saying(task, { phase, reason, message }, now)
}
