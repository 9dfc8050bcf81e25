// How a status goes from one phase to the next: the only place where phase, reason and kstatus conditions are put together.
// A condition's transition time changes only when its status does, so an unchanged situation gives an equal status.
// Used by core/reconcile/attempt-conditions and the responses to a task, by the worker for claim and result, and wherever a phase is read.
import { Schema } from "effect"
import {
  type AgentTask,
  type AgentTaskStatus,
  type Claim,
  Condition,
  longestStatusMessage,
  Phase,
  phaseRank,
  type ToldCondition
} from "../../schema/task/agent-task.ts"
import type { Reason } from "../../schema/task/reason.ts"
import { planToApply, type StageResult } from "../../schema/task/stage-result.ts"
import { sentence, shortened } from "../text/sentence.ts"

export const isOver = (phase: string | undefined): boolean => phase === "Succeeded" || phase === "Failed" || phase === "Cancelled"

const isPhase = Schema.is(Phase)

/** Reports whether this version does not know the phase. Only a newer version can tell whether such a task is over or runs. */
export const isOfNewerVersion = (phase: string | undefined): boolean => phase !== undefined && !isPhase(phase)

/** Reports whether somebody cancelled or deleted the task, be it so late that it went on to its end: nothing more is made of it. */
export const isRevoked = ({ metadata: { deletionTimestamp }, spec: { cancel } }: AgentTask): boolean =>
  cancel === true || deletionTimestamp !== undefined

/**
 * Reports whether the task was cancelled or deleted before the claim. No worker takes it any more, so its Job and its slot may go, even
 * while a finalizer keeps the task.
 */
export const isCalledOff = (task: AgentTask): boolean => task.status.claim === undefined && isRevoked(task)

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

/** What a status says of its task. `stalled` marks a task under way that cannot go on by itself. */
export interface News {
  readonly phase: Phase
  readonly reason: Reason
  readonly message: string
  readonly stalled?: boolean
}

/** One step: what the status says from `now` on. */
export interface Step extends News {
  readonly generation: number
  readonly now: string
}

/** A step of any task, perhaps one that a newer version wrote. */
export type Told = Omit<Step, "phase" | "reason"> & { readonly phase: string; readonly reason: string }

const types = Condition.fields.type.literals

const isType = Schema.is(Condition.fields.type)

/** Reports whether this version knows the condition. Only a newer version can tell what another one means, or which generation it has seen. */
export const isKnown = ({ type }: ToldCondition): boolean => isType(type)

const condition = (status: AgentTaskStatus, step: Told, type: Condition["type"], value: Condition["status"]): ToldCondition => {
  const before = status.conditions?.find((_) => _.type === type)
  return {
    ...before, // with what a newer version has written beside
    type,
    status: value,
    reason: step.reason,
    message: step.message,
    lastTransitionTime: before?.status === value ? before.lastTransitionTime : step.now,
    observedGeneration: step.generation
  }
}

/** Returns the conditions of a status after this step. Those that only a newer version knows stay as they were. */
export const conditionsAfter = (status: AgentTaskStatus, step: Told): ReadonlyArray<ToldCondition> => {
  const says = kstatus(step.phase, step.stalled === true)
  const others = status.conditions?.filter((_) => !isKnown(_)) ?? []
  return [...types.map((type) => condition(status, step, type, says[type])), ...others]
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
  const finishedAt = isOver(phase) ? step.now : undefined
  return {
    ...kept,
    observedGeneration: step.generation,
    phase,
    reason: step.reason,
    message: step.message,
    conditions: conditionsAfter(status, { ...step, phase }),
    ...(finishedAt !== undefined && { finishedAt }),
    ...(finishedAt !== undefined && status.startedAt !== undefined && { duration: duration(status.startedAt, finishedAt) })
  }
}

/**
 * Returns the status of a task that is over with the spec's generation as observed, also by its conditions, which `kubectl wait` reads: a
 * cancel that came too late must not look as if it were under way.
 */
export const acknowledged = (status: AgentTaskStatus, generation: number): AgentTaskStatus => {
  const { conditions = [] } = status
  if ([status, ...conditions.filter(isKnown)].every(({ observedGeneration }) => observedGeneration === generation)) return status
  const seen = conditions.map((_) => isKnown(_) ? { ..._, observedGeneration: generation } : _)
  return { ...status, observedGeneration: generation, ...(status.conditions !== undefined && { conditions: seen }) }
}

/** Where a task runs, and what its Job was built from. */
export interface Launch {
  readonly job: string
  readonly pod: string
  readonly node: string
  readonly configHash: string
}

type RunningPod = Pick<NonNullable<AgentTaskStatus["pod"]>, "name" | "node">

const runsIn = ({ name, node }: RunningPod): string => `Running in Pod ${name}${node === undefined ? "" : ` on node ${node}`}`

/** Returns what the status says while a worker runs the task. */
export const running = (pod: RunningPod): News => ({
  phase: "Running",
  reason: "Claimed",
  message: `${runsIn(pod)}.`
})

/**
 * By which the message of `unanswered` is told from that of `running`, which has the same reason. Never to be reworded: workers of other
 * versions write it, and the admission policy of one version lets those of every version do so by these words.
 */
export const unansweredWords = "its worker has no answer from the pool's server yet"

/** Returns what the status says while the pool's server gives the worker no answer. The worker writes it itself. */
export const unanswered = (pod: RunningPod): News => ({
  phase: "Running",
  reason: "Claimed",
  message: `${runsIn(pod)}, but ${unansweredWords}; see the log of the worker, and let the Pod reach that server.`
})

/**
 * What the status says while the newest state is not saved. The worker writes it itself, since the pool's server, which is told of all
 * else, is what it waits for.
 */
export const unsaved: News = {
  phase: "Running",
  reason: "StateUnsaved",
  message:
    "The pool's server has not yet taken the newest state, the end of the journal of what was made, or the release of the lock. The worker goes on trying, or its log says how to save the state by hand; do not delete its Pod."
}

/** What the status says while only a person can save the last state of a task without a pool, which its backend did not take. */
export const unwritten: News = {
  phase: "Running",
  reason: "StateUnsaved",
  message:
    "The engine has ended, and the backend did not take its last state, which nothing but the Pod has. The log of the worker says why, and by which command to save it; do not delete the Pod.",
  stalled: true
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

export const phaseOf: Readonly<Record<StageResult["outcome"], Phase>> = { succeeded: "Succeeded", failed: "Failed", cancelled: "Cancelled" }

/** Reports whether a spec, of which an older CRD may have dropped a part, is of a task that applies its plans by itself. */
const appliesItsPlans = Schema.is(
  Schema.Struct({ source: Schema.Struct({ fluxSource: Schema.Struct({ onChange: Schema.Literal("planAndApply") }) }) })
)

/**
 * Returns the conditions of a task that is over with a plan which it applies by itself; none for any other. Whoever waits for Ready waits
 * for the changes, and a watch would see it before the controller has made the apply.
 */
const beforeApply = (status: AgentTaskStatus, step: Step, { result, spec }: { readonly result: StageResult; readonly spec: unknown }) =>
  !isOver(status.phase) && appliesItsPlans(spec) && planToApply(result) !== undefined
    ? {
      conditions: conditionsAfter(status, { ...step, phase: "Pending", message: `${sentence(step.message)} Its plan is to be applied.` })
    }
    : {}

/** Returns the status that ends a task with the worker's own result. `reported` says that the pool has confirmed it. */
export const finished = (
  status: AgentTaskStatus,
  result: StageResult,
  generation: number,
  { reported = false, spec }: { readonly reported?: boolean; readonly spec?: unknown } = {}
): AgentTaskStatus => {
  const step: Step = {
    phase: phaseOf[result.outcome],
    reason: result.reason,
    message: result.message,
    generation,
    now: result.finishedAt
  }
  return {
    ...advance(status, step),
    ...beforeApply(status, step, { result, spec }),
    result,
    ...(result.changes !== undefined && { changes: `+${result.changes.add} ~${result.changes.change} -${result.changes.destroy}` }),
    ...(reported && { reportedAt: result.finishedAt })
  }
}
