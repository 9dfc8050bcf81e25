// How a status goes from one phase to the next: the only place where phase, reason and kstatus conditions are put together.
// A condition's transition time changes only when its status does, so an unchanged situation gives an equal status.
// Used by core/response, core/over, core/claimed and core/follow, and by worker/claim and worker/report for claim and result.
import { Schema } from "effect"
import {
  type AgentTask,
  type AgentTaskStatus,
  type Claim,
  type Condition,
  longestStatusMessage,
  Phase,
  phaseRank
} from "../schema/agent-task.ts"
import type { Reason } from "../schema/reason.ts"
import type { StageResult } from "../schema/stage-result.ts"
import { shortened } from "./sentence.ts"

export const isOver = (phase: string | undefined): boolean => phase === "Succeeded" || phase === "Failed" || phase === "Cancelled"

const isPhase = Schema.is(Phase)

/** Reports whether this version does not know the phase. Only a newer version can tell whether such a task is over or runs. */
export const isOfNewerVersion = (phase: string | undefined): boolean => phase !== undefined && !isPhase(phase)

/**
 * Reports whether the task was cancelled or deleted before the claim. No worker takes it any more, so its Job and its slot may go, even
 * while a finalizer keeps the task.
 */
export const isCalledOff = ({ metadata, spec, status }: AgentTask): boolean =>
  status.claim === undefined && (spec.cancel === true || metadata.deletionTimestamp !== undefined)

/** Returns the rank of a phase. A phase of a newer version has the rank of Running, so that only an end may follow it. */
const rankOf = (phase: string): number => phaseRank[isPhase(phase) ? phase : "Running"]

/** Reports whether a status may go from phase `from` to `to`. The CRD's rules say the same. */
export const mayFollow = (from: string | undefined, to: string): boolean =>
  from === undefined || from === to || (!isOver(from) && rankOf(to) > rankOf(from))

/** The three kstatus conditions: Ready when it succeeded, Reconciling while it is under way, Stalled when a person is needed. */
const kstatus = (phase: string, stalled: boolean): Readonly<Record<Condition["type"], Condition["status"]>> => ({
  Ready: phase === "Succeeded" ? "True" : "False",
  Reconciling: isOver(phase) || stalled ? "False" : "True",
  Stalled: phase === "Failed" || phase === "Cancelled" || stalled ? "True" : "False"
})

/** One step: what the status says from `now` on. `stalled` marks a task under way that cannot go on by itself. */
export interface Step {
  readonly phase: Phase
  readonly reason: Reason
  readonly message: string
  readonly generation: number
  readonly now: string
  readonly stalled?: boolean
}

/** A step of another task, perhaps one that a newer version wrote. */
type Told = Omit<Step, "phase" | "reason"> & { readonly phase: string; readonly reason: string }

const types = ["Ready", "Reconciling", "Stalled"] as const

const condition = (status: AgentTaskStatus, step: Told, type: Condition["type"], value: Condition["status"]): Condition => {
  const before = status.conditions?.find((_) => _.type === type)
  return {
    type,
    status: value,
    reason: step.reason,
    message: step.message,
    lastTransitionTime: before?.status === value ? before.lastTransitionTime : step.now,
    observedGeneration: step.generation
  }
}

/** Returns what a status keeps of a message: one from elsewhere may be longer than the API server takes. */
export const fitting = (message: string): string => shortened(message, longestStatusMessage)

/** Returns the time between the two as kubectl shows ages: 42s, 3m20s, 2h5m. */
const duration = (from: string, to: string): string => {
  const seconds = Math.max(0, Math.round((Date.parse(to) - Date.parse(from)) / 1000))
  if (seconds < 60) return `${seconds}s`
  return seconds < 3600 ? `${Math.floor(seconds / 60)}m${seconds % 60}s` : `${Math.floor(seconds / 3600)}h${Math.floor(seconds / 60) % 60}m`
}

/**
 * Returns the status after a step. The phase never goes back: a step to an earlier one is taken as news about the present one. A final
 * status takes no news, and a status of a newer version only the end.
 */
export const advance = (status: AgentTaskStatus, given: Step): AgentTaskStatus => {
  if (isOver(status.phase) || (isOfNewerVersion(status.phase) && !isOver(given.phase))) return status
  const step = { ...given, message: fitting(given.message) }
  const phase = mayFollow(status.phase, step.phase) ? step.phase : status.phase ?? step.phase
  const { queue: _, ...kept } = status
  const says = kstatus(phase, step.stalled === true)
  const finishedAt = isOver(phase) ? status.finishedAt ?? step.now : undefined
  return {
    ...kept,
    observedGeneration: step.generation,
    phase,
    reason: step.reason,
    message: step.message,
    conditions: types.map((type) => condition(status, step, type, says[type])),
    ...(finishedAt !== undefined && { finishedAt }),
    ...(finishedAt !== undefined && status.startedAt !== undefined && { duration: duration(status.startedAt, finishedAt) })
  }
}

/**
 * Returns the status with the spec's generation as observed, if the task is over: a cancel that came too late must not look as if it were
 * under way.
 */
export const acknowledged = (status: AgentTaskStatus, generation: number): AgentTaskStatus =>
  isOver(status.phase) && status.observedGeneration !== generation ? { ...status, observedGeneration: generation } : status

/** Returns the status of a task that is over, with conditions made from `told`. The rest of the status stays. */
const saying = (
  { metadata: { generation }, status }: AgentTask,
  told: Pick<Told, "message" | "phase" | "reason" | "stalled">,
  now: string
): AgentTaskStatus => {
  const step: Told = { ...told, generation, now }
  const says = kstatus(step.phase, step.stalled === true)
  return { ...status, observedGeneration: generation, conditions: types.map((type) => condition(status, step, type, says[type])) }
}

/** Returns the status with conditions that speak of another task: the newest attempt, or its apply. */
export const reflected = (task: AgentTask, of: AgentTask, now: string): AgentTaskStatus => {
  const { conditions = [], message = "Nobody has looked at it yet.", phase = "Pending", reason = "Accepted" } = of.status
  const stalled = conditions.some((_) => _.type === "Stalled" && _.status === "True")
  return saying(task, { phase, reason, message: fitting(`${of.metadata.name}: ${message}`), stalled }, now)
}

/**
 * Returns the status with conditions that say that the newest attempt's plan waits to be applied: only a source that is ready says that it
 * has nothing newer.
 */
export const unapplied = (task: AgentTask, { metadata: { name } }: AgentTask, message: string, now: string): AgentTaskStatus =>
  saying(
    task,
    {
      phase: "Pending",
      reason: "SourceNotReady",
      message: fitting(`${name}: Its plan will be applied once the source is ready and has nothing newer. ${message}`)
    },
    now
  )

/** Returns the status with conditions that say that the newest attempt's plan is not applied, since nobody knows what an old plan changes. */
export const outdated = (task: AgentTask, { metadata: { name } }: AgentTask, now: string): AgentTaskStatus =>
  saying(
    task,
    {
      phase: "Pending",
      reason: "SourceNotReady",
      message: fitting(
        `${name}: Its plan is not applied: its changes could not be counted, and it ended more than an hour ago. The next artifact of the source is planned anew.`
      ),
      stalled: true
    },
    now
  )

const cannotBeMade = "Its next attempt cannot be made."

/** Returns the status with conditions that say why the next attempt cannot be made. `stalled` says that a person is needed. */
export const unattempted = (
  task: AgentTask,
  { message, reason, stalled }: Pick<Step, "message" | "reason"> & { readonly stalled: boolean },
  now: string
): AgentTaskStatus => saying(task, { phase: "Pending", reason, message: fitting(`${cannotBeMade} ${message}`), stalled }, now)

/**
 * Reports whether the conditions speak of another task that is under way, if only on a node that does not answer, or that cannot be made, or
 * of a plan that is not applied. They are no longer true once that task is gone or not wanted any more. A task that cannot be made is known
 * by the message, since an attempt may have ended with the same reason, and a message about an attempt begins with its name.
 */
export const isInterim = ({ conditions = [] }: AgentTaskStatus): boolean =>
  conditions.some(({ message, reason, status, type }) =>
    (type === "Reconciling" && status === "True") || reason === "NodeUnreachable" || reason === "SourceNotReady" ||
    message.startsWith(cannotBeMade)
  )

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

/** Where a task runs, and what its Job was built from. */
export interface Launch {
  readonly job: string
  readonly pod: string
  readonly node: string
  readonly configHash: string
}

/** Returns what the status says while a worker runs the task. */
export const running = (
  { name, node }: Pick<NonNullable<AgentTaskStatus["pod"]>, "name" | "node">
): Pick<Step, "phase" | "reason" | "message"> => ({
  phase: "Running",
  reason: "Claimed",
  message: `Running in Pod ${name}${node === undefined ? "" : ` on node ${node}`}.`
})

/**
 * What the status says while the newest state is not saved. The worker writes it itself, since the pool's server, which is told of all
 * else, is what it waits for.
 */
export const unsaved: Pick<Step, "phase" | "reason" | "message"> = {
  phase: "Running",
  reason: "StateUnsaved",
  message:
    "The pool's server has not yet taken the newest state, the end of the journal of what was made, or the release of the lock. The worker keeps it and goes on trying; do not delete its Pod."
}

/** Returns the status that claims a task. The worker writes it at the resourceVersion that it read, and only if `claim` was absent. */
export const claimed = (
  status: AgentTaskStatus,
  claim: Claim,
  { configHash, job, node, pod }: Launch,
  generation: number
): AgentTaskStatus => ({
  ...advance(status, { ...running({ name: pod, node }), generation, now: claim.at }),
  launches: Math.max(status.launches ?? 1, 1), // also if the Job was given up, or its maker died before counting it
  claim,
  job: { name: job },
  pod: { name: pod, uid: claim.podUid, node },
  configHash,
  startedAt: claim.at
})

const phaseOf: Readonly<Record<StageResult["outcome"], Phase>> = { succeeded: "Succeeded", failed: "Failed", cancelled: "Cancelled" }

/** Returns the status that ends a task with the worker's own result. `reported` says that the pool has confirmed it. */
export const finished = (status: AgentTaskStatus, result: StageResult, generation: number, reported: boolean): AgentTaskStatus => ({
  ...advance(status, {
    phase: phaseOf[result.outcome],
    reason: result.reason,
    message: result.message,
    generation,
    now: result.finishedAt
  }),
  result,
  ...(result.changes !== undefined && { changes: `+${result.changes.add} ~${result.changes.change} -${result.changes.destroy}` }),
  ...(reported && { reportedAt: result.finishedAt })
})
