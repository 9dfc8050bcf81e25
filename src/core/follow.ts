// A task that follows its source: when it makes its next attempt, and what it says of the newest one.
// Attempts are tasks of their own under derived names, one after another; each takes the newest artifact when its Job is made.
// Used by core/plan; the rest of the table does not know that a task is an attempt.
import { Option } from "effect"
import type { AgentTask } from "../schema/agent-task.ts"
import { agentTaskResource, type Sha256, type Uid } from "../schema/names.ts"
import { Action } from "./action.ts"
import type { Observed } from "./observed.ts"
import { later, type Respond, unchanged } from "./response.ts"
import type { Situation } from "./situation.ts"
import { isOver, reflected } from "./status.ts"

/** How often a followed source is looked at; any change to the task does it at once. */
const lookMillis = 30_000

/** Makes attempts for new artifacts of its source, from its own end on. A cancel ends that too. */
export const follows = ({ metadata, spec, status }: AgentTask): boolean =>
  isOver(status.phase) && (spec.source.fluxSource?.onChange ?? "none") !== "none" && spec.cancel !== true && metadata.deletionTimestamp === undefined

/** The task that this one is an attempt of. */
export const attemptOf = ({ metadata: { ownerReferences = [] } }: AgentTask): Option.Option<Uid> =>
  Option.map(Option.fromUndefinedOr(ownerReferences.find(({ controller, kind }) => controller === true && kind === agentTaskResource.kind)), ({ uid }) => uid)

/** The newest attempt: the task itself until another was made, and none when that one was deleted. */
const newest = ({ latest, task }: Observed): Option.Option<AgentTask> => task.status.latest === undefined ? Option.some(task) : latest

const isFree = (observed: Observed): boolean => Option.match(newest(observed), { onNone: () => true, onSome: ({ status }) => isOver(status.phase) })

/** What the newest attempt ran, or would have run. */
const tried = (observed: Observed): Sha256 | undefined =>
  Option.getOrUndefined(newest(observed))?.status.source?.sha256 ?? observed.task.status.latest?.sha256

const hasNew = (observed: Observed): boolean => observed.source._tag === "Ready" && observed.source.artifact.sha256 !== tried(observed)

type Holds = (situation: Situation) => boolean

export const following = {
  nameTaken: ({ observed: { refusal, task } }) => follows(task) && Option.isSome(refusal),
  newArtifact: ({ observed }) => follows(observed.task) && isFree(observed) && hasNew(observed),
  atRest: ({ observed: { task } }) => follows(task)
} satisfies Readonly<Record<string, Holds>>

const named = (name: string, suffix: string): string => `${name.slice(0, 240).replace(/[-.]+$/u, "")}-${suffix}`

export const makeAttempt: Respond = (_) => {
  const { source, task: { metadata: { name }, spec, status } } = _.observed
  if (source._tag !== "Ready" || spec.source.fluxSource === undefined) return unchanged(_)
  const attempt = (status.latest?.attempt ?? spec.attempt ?? 1) + 1
  const { onChange: _onChange, ...fluxSource } = spec.source.fluxSource
  const next = named(name, String(attempt))
  return {
    ...unchanged(_, [Action.CreateTask({ name: next, spec: { ...spec, attempt, source: { fluxSource } } })]),
    status: { ...status, latest: { attempt, name: next, sha256: source.artifact.sha256 } }
  }
}

export const tellNameTaken: Respond = (_) => {
  const message = Option.match(_.observed.refusal, { onNone: () => "", onSome: (refusal) => refusal.message })
  return later(unchanged(_, [Action.Emit({ type: "Warning", reason: "NameTaken", message })]), lookMillis)
}

/** The conditions are those of the newest attempt, so that who waits for this task waits for what the source has now. */
export const reflect: Respond = (_) => {
  const { task } = _.observed
  const status = Option.match(newest(_.observed), { onNone: () => task.status, onSome: (of) => of === task ? task.status : reflected(task, of, _.now) })
  return later({ ...unchanged(_), status }, lookMillis)
}
