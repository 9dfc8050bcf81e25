// The invariants of what comes after what, by their numbers: I4 nothing after a change that was lost, I1 a plan is applied once, and for who
// follows a source, I12 the newest artifact is planned, and applied if asked for, I17 attempts come one after another, none after a lost apply,
// and one again a few times at most. Used by test/simulation/invariants.
import { Option } from "effect"
import { attemptOf } from "../../src/core/reconcile/attempts.ts"
import { follows } from "../../src/core/reconcile/follow.ts"
import { inDoubt } from "../../src/core/reconcile/newest-attempt.ts"
import { mostRetries } from "../../src/core/run/retries.ts"
import { isOver } from "../../src/core/task/status.ts"
import { agentTasks } from "../../src/kubernetes/kinds.ts"
import { type AgentTask, mutates } from "../../src/schema/task/agent-task.ts"
import type { ApiServer, Change } from "./api-server.ts"
import type { Simulation } from "./simulation.ts"
import { demand } from "./violation.ts"

/** Returns the tasks that there were just before this revision. */
const tasksBefore = ({ history }: ApiServer, before: number): ReadonlyArray<AgentTask> => {
  const there = new Map<string, AgentTask>()
  for (const { kind, object, revision, type } of history) {
    if (revision >= before) break
    if (kind !== agentTasks.plural) continue
    if (type === "DELETED") there.delete(object.metadata.uid)
    else there.set(object.metadata.uid, object as unknown as AgentTask)
  }
  return [...there.values()]
}

const followerOf = (task: AgentTask): string => Option.getOrElse(attemptOf(task), () => task.metadata.uid)

/** Returns how many tasks were made for this one between its cancel and this revision. A controller may be about to make one. */
const madeSinceCancel = ({ history }: ApiServer, uid: string, until: number): number => {
  const cancelled = history.find(({ object }) => object.metadata.uid === uid && (object as unknown as AgentTask).spec.cancel === true)
  return cancelled === undefined
    ? 0
    : history.filter(({ kind, object, revision, type }) =>
      kind === agentTasks.plural && type === "ADDED" && revision > cancelled.revision && revision <= until &&
      Option.contains(attemptOf(object as unknown as AgentTask), uid)
    ).length
}

/** Reports whether it is a change that a worker claimed, and whose end or state nobody knows. One that is being deleted counts as gone. */
const isLost = ({ metadata: { deletionTimestamp }, spec: { stage }, status: { claim, phase, result } }: AgentTask): boolean =>
  deletionTimestamp === undefined && stage === "apply" && isOver(phase) && claim !== undefined &&
  (result === undefined || result.statePushed === false)

/** Checks that no change without a pool begins right after one that was lost, in the same workspace, before a person has deleted that one. */
export const judgeChange = (
  { changes, tasks }: Simulation,
  { metadata: { name, uid }, spec: { pool, stage, workspace } }: AgentTask
): void => {
  if (!mutates(stage)) return
  const former = tasks.find(({ metadata }) => metadata.uid === changes.get(workspace))
  changes.set(workspace, uid)
  const mayBegin = pool !== undefined || former === undefined || former.spec.pool !== undefined || !isLost(former)
  demand(mayBegin, "I4", () => `${name} began after ${former?.metadata.name}, which was lost, and nobody has looked`)
}

/**
 * Checks that an attempt or apply is made only once what its follower made before is over, and an apply only of the newest plan; and none
 * while an apply is there that was lost.
 */
export const judgeAttempt = ({ leads, server }: Simulation, { object, revision }: Change): void => {
  const made = object as unknown as AgentTask
  if (Option.isNone(attemptOf(made))) return
  const kin = tasksBefore(server, revision).filter((task) => followerOf(task) === followerOf(made))
  const underWay = kin.filter(({ status }) => !isOver(status.phase)).map(({ metadata }) => metadata.name)
  demand(underWay.length === 0, "I17", () => `${made.metadata.name} was made while ${underWay.join(" and ")} was under way`)
  const newer = kin.filter(({ spec }) => (spec.attempt ?? 1) > (made.spec.attempt ?? 1)).map(({ metadata }) => metadata.name)
  demand(newer.length === 0, "I17", () => `${made.metadata.name} was made after ${newer.join(" and ")}`)
  const lost = kin.filter(isLost).map(({ metadata }) => metadata.name)
  demand(lost.length === 0, "I17", () => `${made.metadata.name} was made after ${lost.join(" and ")}, which was lost`)
  const late = madeSinceCancel(server, followerOf(made), revision)
  demand(late <= leads, "I6", () => `${made.metadata.name} is task ${late} made for one that was cancelled, by ${leads} controllers`)
}

/**
 * Reports whether the apply was made again because the first was deleted before its follower's status named it. The plan itself, of which
 * there is none here, says then that it has begun (docs/adr/0039-begin-a-kept-plan-once.md).
 */
const isMadeAgain = ({ history }: ApiServer, first: AgentTask, again: AgentTask): boolean => {
  const { name, uid } = again.metadata
  const made = history.findIndex(({ object, type }) => type === "ADDED" && object.metadata.uid === uid)
  const before = history.slice(0, made)
  return Option.isSome(attemptOf(again)) && first.metadata.name === name && followerOf(first) === followerOf(again) &&
    before.some(({ object, type }) => type === "DELETED" && object.metadata.uid === first.metadata.uid) &&
    !before.some(({ object }) =>
      object.metadata.uid === followerOf(again) && (object as unknown as AgentTask).status.latest?.apply === name
    )
}

/** Checks that no saved plan is applied twice, and that an artifact is planned again only a few times for the same task. */
export const judgePlans = ({ server, truth: { engines } }: Simulation): void => {
  const applied = new Map<string, AgentTask>()
  const planned = new Map<string, number>()
  for (const { task } of engines) {
    const { metadata: { name }, spec: { source: { fluxSource, savedPlan } }, status } = task
    if (savedPlan !== undefined) {
      const first = applied.get(savedPlan.sha256)
      demand(first === undefined || isMadeAgain(server, first, task), "I1", () => `the plan that ${name} applies was applied before`)
      applied.set(savedPlan.sha256, task)
    }
    if (fluxSource === undefined) continue
    const key = `${followerOf(task)} ${status.source?.sha256}`
    const times = 1 + (planned.get(key) ?? 0)
    planned.set(key, times)
    demand(times <= 1 + mostRetries, "I17", () => `${name} is the ${times}th start at the same artifact`)
  }
}

/** Checks, when everything is over, that each task which follows its source has tried what it has, and applied that if it should. */
export const judgeFollowers = ({ source, tasks }: Simulation): void => {
  for (const task of tasks.filter(follows)) {
    const { metadata, spec, status: { latest } } = task
    const newest = latest === undefined ? task : tasks.find(({ metadata: { name } }) => name === latest.name)
    const latestApply = Option.fromUndefinedOr(tasks.find((apply) => apply.metadata.name === latest?.apply))
    if (Option.isSome(inDoubt({ latestApply }))) continue // a person decides
    const tried = newest?.status.source?.sha256 ?? latest?.sha256
    demand(
      tried === source.newest,
      "I12",
      () => `${metadata.name} has not tried the newest artifact; its status says ${JSON.stringify(task.status)}`
    )
    if (spec.source.fluxSource?.onChange !== "planAndApply" || newest?.status.phase !== "Succeeded" || newest.spec.cancel === true) continue
    demand(latest?.apply !== undefined, "I12", () => `the plan of ${newest.metadata.name} was never applied`)
  }
}
