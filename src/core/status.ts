// How a status goes from one phase to the next: the only place where phase, reason and kstatus conditions are put together.
// A condition's transition time changes only when its status does, so an unchanged situation gives an equal status.
// Used by core/response for the controller, and by worker/claim and worker/report for claim and result.
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

/** A phase that this version does not know: whether such a task is over, or runs, is for a newer one to say. */
export const isOfNewerVersion = (phase: string | undefined): boolean => phase !== undefined && !isPhase(phase)

/**
 * Cancelled or deleted before the claim, so that no worker takes it any more: its Job may go, and its slot. Somebody's finalizer may keep
 * what is deleted.
 */
export const isCalledOff = ({ metadata, spec, status }: AgentTask): boolean =>
  status.claim === undefined && (spec.cancel === true || metadata.deletionTimestamp !== undefined)

/** After a phase of a newer version comes nothing but the end. */
const rankOf = (phase: string): number => phaseRank[isPhase(phase) ? phase : "Running"]

/** May a status in phase `from` go to `to`? The CRD's rules say the same. */
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

/** A step of another task, perhaps by a newer version. */
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

/** What a status keeps of a message: words of others may be longer than the API server takes. */
export const fitting = (message: string): string => shortened(message, longestStatusMessage)

/** As kubectl shows ages: 42s, 3m20s, 2h5m. */
const duration = (from: string, to: string): string => {
  const seconds = Math.max(0, Math.round((Date.parse(to) - Date.parse(from)) / 1000))
  if (seconds < 60) return `${seconds}s`
  return seconds < 3600 ? `${Math.floor(seconds / 60)}m${seconds % 60}s` : `${Math.floor(seconds / 3600)}h${Math.floor(seconds / 60) % 60}m`
}

/**
 * The status after a step. The phase never goes back: a step that would is taken as news about the present one. A final one takes no news,
 * and one of a newer version none but the end.
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

/** One that is over takes no news, but says that it saw the spec: a cancel that came too late must not look as if it were under way. */
export const acknowledged = (status: AgentTaskStatus, generation: number): AgentTaskStatus =>
  isOver(status.phase) && status.observedGeneration !== generation ? { ...status, observedGeneration: generation } : status

/** What its conditions say from now on of a task that is over; the rest of its status stays. */
const saying = (
  { metadata: { generation }, status }: AgentTask,
  told: Pick<Told, "message" | "phase" | "reason" | "stalled">,
  now: string
): AgentTaskStatus => {
  const step: Told = { ...told, generation, now }
  const says = kstatus(step.phase, step.stalled === true)
  return { ...status, observedGeneration: generation, conditions: types.map((type) => condition(status, step, type, says[type])) }
}

/** They speak of another one: the newest attempt at its source. */
export const reflected = (task: AgentTask, of: AgentTask, now: string): AgentTaskStatus => {
  const { conditions = [], message = "Nobody has looked at it yet.", phase = "Pending", reason = "Accepted" } = of.status
  const stalled = conditions.some((_) => _.type === "Stalled" && _.status === "True")
  return saying(task, { phase, reason, message: fitting(`${of.metadata.name}: ${message}`), stalled }, now)
}

/** The same, while what its newest attempt planned waits to be applied: only a source that is ready says that it has nothing newer. */
export const unapplied = (task: AgentTask, { metadata: { name } }: AgentTask, message: string, now: string): AgentTaskStatus =>
  saying(
    task,
    {
      phase: "Pending",
      reason: "SourceNotReady",
      message: fitting(`${name}: What it planned is applied once the source is ready and has nothing newer. ${message}`)
    },
    now
  )

const cannotBeMade = "Its next attempt cannot be made."

/** The same, while that attempt cannot be made, whose conditions these would be; `stalled` where a person is needed. */
export const unattempted = (
  task: AgentTask,
  { message, reason, stalled }: Pick<Step, "message" | "reason"> & { readonly stalled: boolean },
  now: string
): AgentTaskStatus => saying(task, { phase: "Pending", reason, message: fitting(`${cannotBeMade} ${message}`), stalled }, now)

/**
 * They tell of another that is under way, if only on a node that does not answer, or that cannot be made: no longer true once that one is
 * gone, or not wanted any more. The latter by its words, since an attempt may have ended with the same reason; what is said of one begins
 * with its name.
 */
export const isInterim = ({ conditions = [] }: AgentTaskStatus): boolean =>
  conditions.some(({ message, reason, status, type }) =>
    (type === "Reconciling" && status === "True") || reason === "NodeUnreachable" || message.startsWith(cannotBeMade)
  )

/** The same of the one called `name`, which was deleted before its task could say how it ended, or apply what it planned. */
export const lostSight = (task: AgentTask, name: string, now: string): AgentTaskStatus =>
  saying(
    task,
    {
      phase: "Failed",
      reason: "Lost",
      message: fitting(
        `${name}: It was deleted, so nothing here tells how it ended, or applies what it planned; see what it did, then delete this task and make it again, or wait for the next artifact of its source.`
      )
    },
    now
  )

/** The same, once no other is there to speak of, nor is wanted any more: its conditions are its own again. */
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

/** What is said of a task while its worker runs it. */
export const running = (
  { name, node }: Pick<NonNullable<AgentTaskStatus["pod"]>, "name" | "node">
): Pick<Step, "phase" | "reason" | "message"> => ({
  phase: "Running",
  reason: "Claimed",
  message: `Runs in Pod ${name} on ${node ?? "its node"}.`
})

/** Said by the worker, since the pool's server, which is told of all else, is what it waits for. */
export const unsaved: Pick<Step, "phase" | "reason" | "message"> = {
  phase: "Running",
  reason: "StateUnsaved",
  message:
    "The pool's server has not taken the newest state yet, what was made last, or the lock. The worker keeps it and goes on trying; do not delete its Pod."
}

/** The status that takes a task: written by the worker against the resourceVersion it read, and only if `claim` was absent. */
export const claimed = (
  status: AgentTaskStatus,
  claim: Claim,
  { configHash, job, node, pod }: Launch,
  generation: number
): AgentTaskStatus => ({
  ...advance(status, { ...running({ name: pod, node }), generation, now: claim.at }),
  launches: Math.max(status.launches ?? 1, 1), // also of a Job that was given up, or whose maker died before it counted it
  claim,
  job: { name: job },
  pod: { name: pod, uid: claim.podUid, node },
  configHash,
  startedAt: claim.at
})

const phaseOf: Readonly<Record<StageResult["outcome"], Phase>> = { succeeded: "Succeeded", failed: "Failed", cancelled: "Cancelled" }

/** The status that ends a task with the worker's own result. `reported`: the pool has confirmed it. */
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
