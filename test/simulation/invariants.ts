// The invariants, checked after every step: on each change that was written, and on what really happened. Those of what is approved, of what
// engines make and of what follows a source are in approvals, effects and attempts; docs/reliability.md says where those are that are not
// here. Used by test/simulation/run and test/simulation/crashes.
import { taskUidLabel } from "../../src/core/manifest/labels.ts"
import { isUnpinned } from "../../src/core/reconcile/flux-source.ts"
import { historyOf } from "../../src/core/reconcile/history.ts"
import { mostRetries } from "../../src/core/run/retries.ts"
import { leaseName } from "../../src/core/scheduling/workspace-lease.ts"
import { isCalledOff, isOver, mayFollow } from "../../src/core/task/status.ts"
import { agentTasks, jobs, leases, pods } from "../../src/kubernetes/kinds.ts"
import { type AgentTask, type AgentTaskStatus, mutates } from "../../src/schema/task/agent-task.ts"
import { reasons } from "../../src/schema/task/reason.ts"
import type { Change } from "./api-server.ts"
import { judgeClaim } from "./approvals.ts"
import { judgeAttempt, judgeChange, judgeFollowers, judgePlans } from "./attempts.ts"
import { isInState, judgeEffects, stageIdOf } from "./effects.ts"
import { importedBy } from "./engine.ts"
import type { PoolServer, Stored } from "./pool-server.ts"
import { same } from "./same.ts"
import { garbageUid, type Simulation } from "./simulation.ts"
import { demand } from "./violation.ts"

const isOwned = ({ metadata: { ownerReferences = [] } }: Change["object"]): boolean => ownerReferences.length > 0
const statusOf = (object: Change["object"] | undefined): AgentTaskStatus => (object?.["status"] ?? {}) as AgentTaskStatus

/** Reports whether everything that the task made is in a stored state. */
const isSaved = ({ pool, truth }: Simulation, { metadata, spec }: AgentTask): boolean => {
  if (spec.pool === undefined) return truth.states.has(metadata.uid)
  const digests = pool?.stored.digests
  return truth.engines.some(({ lastState, task }) =>
    task.metadata.uid === metadata.uid && lastState !== undefined && digests?.has(lastState) === true
  )
}

/** Reports whether there is a task of that name, or was: the controller's cache may be behind. */
const wasThere = ({ config: { taskNamespace: namespace }, server }: Simulation, name: string): boolean =>
  server.find(agentTasks, { name, namespace }) !== undefined ||
  server.history.some(({ kind, object: { metadata } }) => kind === agentTasks.plural && metadata.name === name)

const mostLaunchesOf = (simulation: Simulation, task: AgentTask): number =>
  Math.max(...simulation.policiesSince(task).map(({ maxLaunches }) => maxLaunches)) + mostRetries

const judgeTask = (simulation: Simulation, { before, object, type }: Change): void => {
  if (type === "DELETED" || object.metadata.uid === garbageUid) return
  const { truth } = simulation
  const { metadata, spec } = object as unknown as AgentTask
  const [from, to] = [statusOf(before), statusOf(object)]
  const named = `${metadata.name} (${metadata.uid})`
  demand(mayFollow(from.phase, to.phase ?? "Pending"), "I8", () => `${named} went from ${from.phase} to ${to.phase}`)
  demand(from.claim === undefined || same(from.claim, to.claim), "I8", () => `the claim of ${named} changed`)
  demand(from.result === undefined || same(from.result, to.result), "I8", () => `the result of ${named} changed`)
  if (isOver(from.phase)) demand(from.reason === to.reason && from.message === to.message, "I8", () => `the end of ${named} changed`)
  demand(to.reason === undefined || to.reason in reasons, "I18", () => `${named} has the reason ${to.reason}`)
  if (to.reason === "NameTaken") {
    const job = simulation.server.find(jobs, { name: `agent-job-${metadata.name}`, namespace: metadata.namespace })
    demand(job !== undefined && !isOwned(job), "I13", () => `${named} ended for a stranger's Job, but none has its name`)
  }
  const mostLaunches = mostLaunchesOf(simulation, object as unknown as AgentTask)
  demand((to.launches ?? 0) <= mostLaunches, "I17", () => `${named} was launched ${to.launches} times`)
  const made = simulation.made.get(metadata.uid) ?? 0
  demand((to.launches ?? 0) <= made, "I17", () => `${named} says ${to.launches} launches, but ${made} Jobs were made for it`)
  if (to.phase === "Failed" && to.claim === undefined && !isOver(from.phase)) {
    const had = [...simulation.launched.get(metadata.uid) ?? []].filter((job) => !simulation.takenAway.has(job)).length
    demand(
      (to.launches ?? 0) >= had,
      "I17",
      () => `${named} failed after ${to.launches} launches, it says, but ${had} Jobs of it had a Pod`
    )
  }
  if (to.claim !== undefined && from.claim === undefined) {
    demand(
      spec.cancel !== true && metadata.deletionTimestamp === undefined,
      "I6",
      () => `${named} was claimed after its cancel or deletion`
    )
    if (simulation.pool !== undefined) judgeClaim(simulation.pool, object as unknown as AgentTask)
    judgeChange(simulation, object as unknown as AgentTask)
  }
  if (to.phase === "Succeeded") {
    const known = truth.results.get(metadata.uid)
    demand(
      to.claim !== undefined && to.result?.outcome === "succeeded" && to.result.exitCode === 0 && same(to.result, known),
      "I7",
      () => `${named} is Succeeded, but its worker says ${JSON.stringify(known)}`
    )
    if (spec.stage !== "plan") {
      demand(isSaved(simulation, object as unknown as AgentTask), "I7", () => `${named} is Succeeded without a confirmed state`)
    }
  }
  if (to.phase === "Queued" && to.reason !== "Accepted") { // one that has waited for its source is still queued when it writes down the artifact
    demand(
      to.queue !== undefined && to.queue.position >= 1 && to.reason === to.queue.reason && (to.message ?? "").length > 5,
      "I11",
      () => `${named} waits without a word`
    )
    const { blockedBy } = to.queue ?? {}
    demand(
      blockedBy === undefined || (blockedBy !== metadata.name && wasThere(simulation, blockedBy)),
      "I11",
      () => `${named} waits for ${blockedBy}, which is no other task`
    )
  }
}

/**
 * Checks that a task starts no more often than it may, counted by its Jobs that had a Pod, whatever its status says. A task that is gone
 * is not counted: its Jobs are collected as soon as they are made.
 */
const judgePod = (simulation: Simulation, { before, object: { metadata } }: Change): void => {
  const { launched, tasks } = simulation
  const task = tasks.find(({ metadata: { uid } }) => uid === metadata.labels?.[taskUidLabel])
  if (before !== undefined || task === undefined) return
  const { name, uid } = task.metadata
  const ofTask = launched.get(uid) ?? new Set()
  launched.set(uid, ofTask.add(metadata.ownerReferences?.[0]?.uid ?? ""))
  demand(ofTask.size <= mostLaunchesOf(simulation, task), "I17", () => `${name} was started by ${ofTask.size} Jobs`)
}

/** Checks that each controller makes at most one Job for a task that is gone: it may not know that yet, but learns it when the Job goes. */
const judgeJob = ({ leads, made, madeForGone }: Simulation, { before, object: { metadata } }: Change): void => {
  const task = metadata.ownerReferences?.[0]?.uid
  if (before !== undefined || task === undefined) return
  made.set(task, (made.get(task) ?? 0) + 1)
  const forGone = madeForGone.get(task)
  if (forGone === undefined) return
  madeForGone.set(task, forGone + 1)
  demand(forGone < leads, "I17", () => `${forGone + 1} Jobs were made for ${task}, which is gone, by ${leads} controllers`)
}

const leaseOf = ({ spec }: Change["object"]) => spec as { readonly holderIdentity: string; readonly leaseTransitions: number }

const judgeLease = (before: Change["object"], after: Change["object"]): void => {
  const [from, to] = [leaseOf(before), leaseOf(after)]
  demand(
    from.holderIdentity === to.holderIdentity || to.leaseTransitions > from.leaseTransitions,
    "I4",
    () => `${after.metadata.name} went to another task in the same epoch`
  )
}

/** Checks that nothing begins once the controllers have answered a drain: no Job is made, and no task takes a workspace. */
const judgeDrain = ({ drainedAt = Infinity }: Simulation, { before, kind, object, revision }: Change): void => {
  if (revision <= drainedAt) return
  const begins = kind === jobs.plural
    ? before === undefined && isOwned(object)
    : kind === leases.plural && (before === undefined || leaseOf(before).holderIdentity !== leaseOf(object).holderIdentity)
  demand(!begins, "I10", () => `${kind} ${object.metadata.name} was written though the cluster is drained`)
}

const judgeTruth = ({ truth: { engines } }: Simulation): void => {
  const started = new Set<string>()
  const changing = new Map<string, string>()
  for (const { interrupts, running, task: { metadata, spec } } of engines) {
    demand(!started.has(metadata.uid), "I1", () => `the engine of ${metadata.name} (${metadata.uid}) was started twice`)
    started.add(metadata.uid)
    demand(interrupts <= 1, "I16", () => `the engine of ${metadata.name} got ${interrupts} interrupts`)
    if (!running || spec.stage === "plan") continue
    demand(
      !changing.has(spec.workspace),
      "I2",
      () => `${metadata.name} and ${changing.get(spec.workspace)} change workspace ${spec.workspace} at once`
    )
    changing.set(spec.workspace, metadata.name)
  }
}

/**
 * Checks that no more tasks have Jobs than there are slots, or were since the newest of them was made. One controller alone never gives
 * more, because slots are derived from objects. A task that was cancelled or deleted before its claim does not count: it never runs.
 */
const judgeLimits = (simulation: Simulation): void => {
  const { cluster, crowded, tasks } = simulation
  if (crowded) return
  const owners = new Set<string>(cluster.jobs.map(({ metadata }) => metadata.ownerReferences?.[0]?.uid ?? ""))
  const live = tasks.filter((task) => owners.has(task.metadata.uid) && !isOver(task.status.phase) && !isCalledOff(task))
  const within = (some: ReadonlyArray<AgentTask>, which: "total" | "perWorkspace") => {
    const limits = some.map((task) => Math.max(...simulation.policiesSince(task).map(({ limits }) => limits[which])))
    const limit = Math.min(...limits)
    demand(some.length <= limit, "I10", () => `${some.length} tasks have Jobs, but ${limit} may run (${which})`)
  }
  within(live, "total")
  for (const inOne of Map.groupBy(live, ({ spec }) => spec.workspace).values()) within(inOne, "perWorkspace")
}

/**
 * Returns the tasks that could start while no Job is there: they are neither called off nor claimed, those that are claimed leave them a
 * slot, and the holder of their workspace neither runs nor has a Pod left.
 */
export const waitForNobody = (
  { cluster, config: { policy: { limits } }, isDrained, server, source, tasks }: Simulation
): ReadonlyArray<AgentTask> => {
  if (isDrained || server.refuses !== "nothing" || cluster.jobs.some(({ spec }) => spec.template !== undefined)) return []
  const claimed = tasks.filter(({ status }) => !isOver(status.phase) && status.claim !== undefined)
  if (claimed.length >= limits.total) return []
  const isFull = (workspace: string) => claimed.filter(({ spec }) => spec.workspace === workspace).length >= limits.perWorkspace
  const busy = new Set<string | undefined>([
    ...claimed.map(({ metadata }) => metadata.uid),
    ...cluster.pods.map(({ metadata }) => metadata.labels?.[taskUidLabel])
  ])
  const held = new Set(server.all(leases).filter((lease) => busy.has(leaseOf(lease).holderIdentity)).map(({ metadata }) => metadata.name))
  return tasks.filter((task) =>
    task.status.queue?.reason !== "StateRescuePending" && !isOver(task.status.phase) && !isCalledOff(task) &&
    !busy.has(task.metadata.uid) && (source.ready || !isUnpinned(task)) &&
    !isFull(task.spec.workspace) && (task.spec.stage === "plan" || !held.has(leaseName(task.spec.workspace)))
  )
}

/**
 * Checks that what the pool has stored of a stage is what its one task did, once, and that a stage that an agent acknowledged has a task or
 * a result.
 */
const judgeStages = ({ server, truth }: Simulation, { confirmed, results }: PoolServer, { digests, runs, stages }: Stored): void => {
  const there = new Set(server.all(agentTasks).map(({ metadata }) => metadata.uid))
  for (const { acknowledgedAt, id, result, taskUid } of stages) {
    const before = results.get(id)
    demand(before === undefined || same(before, result), "I5", () => `the result of ${id} changed`)
    if (result === null) {
      demand(
        acknowledgedAt === null || taskUid === null || there.has(taskUid),
        "I3",
        () => `${id} was acknowledged for a task that is not there`
      )
    } else {
      results.set(id, result)
      if (result.outcome === "succeeded") {
        demand(
          same(result, truth.results.get(taskUid ?? "")),
          "I7",
          () => `the pool has a success for ${id} that its worker does not know of`
        )
      }
    }
  }
  for (const [run, plans] of Map.groupBy(stages.filter(({ stage }) => stage === "plan"), ({ runId }) => runId)) {
    demand(plans.length <= 1 + mostRetries, "I17", () => `${run} has ${plans.length} plans`)
  }
  const started = new Set<string>()
  for (const engine of truth.engines) {
    if (engine.task.spec.pool === undefined) continue
    const id = stageIdOf(engine.task)
    demand(!started.has(id), "I1", () => `the engine of ${id} was started by two tasks`)
    started.add(id)
  }
  for (const { autoApply, id, status } of runs) {
    const applies = truth.engines.filter(({ task: { spec } }) => spec.pool?.runId === id && spec.stage !== "plan")
    demand(
      applies.length === 0 || (status !== "discarded" && (autoApply || confirmed.has(id))),
      "I1",
      () => `the run ${id} is ${status}, and was applied though nobody confirmed it`
    )
    if (status !== "applied") continue
    const applied = applies.filter(({ exitCode, lastState }) => exitCode === 0 && lastState !== undefined && digests.has(lastState))
    demand(applied.length === 1, "I7", () => `the run ${id} is applied, but ${applied.length} engines did so`)
  }
}

/**
 * Checks that no engine begins to make things on a state that lacks what an earlier one made, unless a person has looked at it, or that is
 * what it imports.
 */
const judgeBeginnings = ({ truth: { engines } }: Simulation, pool: PoolServer, stored: Stored): void => {
  const { begun } = pool
  const making = engines.filter(({ lastState }) => lastState !== undefined)
  for (const engine of making) {
    if (begun.has(engine)) continue
    begun.add(engine)
    for (const before of making.slice(0, making.indexOf(engine))) {
      if (before.task.spec.workspace !== engine.task.spec.workspace || isInState(before, pool, stored)) continue
      const doubt = stored.doubts.get(stageIdOf(before.task))
      demand(
        doubt !== undefined && (doubt !== "open" || importedBy(engine.task).length > 0),
        "I4",
        () => `${stageIdOf(engine.task)} began, though what ${stageIdOf(before.task)} made is in no state, and nobody has looked`
      )
    }
  }
}

/**
 * Checks that a workspace has one line of states: with one lineage and rising serials, and no lock with states of two runs. A state that
 * an engine was told is stored is there, under the engine's own lock.
 */
const judgeStates = ({ truth }: Simulation, { states }: Stored): void => {
  for (const line of Map.groupBy(states, ({ workspaceId }) => workspaceId).values()) {
    line.slice(1).forEach((state, index) => {
      const { [index]: before } = line
      if (before === undefined) return
      demand(
        state.lineage === before.lineage && state.serial > before.serial,
        "I4",
        () => `a state of serial ${state.serial} followed one of ${before.serial}`
      )
      demand(
        state.epoch > before.epoch || state.runId === before.runId,
        "I4",
        () => `${state.runId} and ${before.runId} wrote states under one lock`
      )
    })
  }
  const epochs = new Map<string, number>(states.map(({ epoch, sha256 }) => [sha256, epoch]))
  for (const { acknowledged, task: { metadata } } of truth.engines) {
    for (const [state, epoch] of acknowledged) {
      demand(
        epochs.get(state) === epoch,
        "I4",
        () =>
          `a state of ${metadata.name} was acknowledged under epoch ${epoch}, and is ${
            epochs.has(state) ? `stored under ${epochs.get(state)}` : "not stored"
          }`
      )
    }
  }
}

const judgePool = (simulation: Simulation, pool: PoolServer): void => {
  const { stored } = pool
  judgeStages(simulation, pool, stored)
  judgeBeginnings(simulation, pool, stored)
  judgeStates(simulation, stored)
  judgeEffects(simulation, pool, stored)
}

/** Checks that no workspace has more finished tasks of one kind than it may keep; a task that a finalizer keeps is not counted. */
const judgeHistory = ({ config: { policy: { historyPerWorkspace } }, tasks }: Simulation): void => {
  const kept = historyOf(tasks).filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  for (const [kind, alike] of Map.groupBy(kept, ({ spec }) => `${mutates(spec.stage) ? "changes" : "plans"} of ${spec.workspace}`)) {
    demand(alike.length <= historyPerWorkspace, "I17", () => `${alike.length} ${kind} are kept, of ${historyPerWorkspace} at most`)
  }
}

/**
 * Checks, when everything is over, that everything an engine made is in a stored state, or its stage was put in doubt, and that who follows
 * a source is up to date.
 */
export const judgeEnd = (simulation: Simulation): void => {
  judgeFollowers(simulation)
  judgeHistory(simulation)
  const { pool, truth } = simulation
  if (pool === undefined) return
  const { stored } = pool
  for (const engine of truth.engines) {
    if (engine.lastState === undefined || isInState(engine, pool, stored)) continue
    demand(stored.doubts.has(stageIdOf(engine.task)), "I4", () => `what ${stageIdOf(engine.task)} made is in no state, and nobody was told`)
  }
}

/** Checks everything that happened since index `from` of the history; returns the index to go on from. */
export const judge = (simulation: Simulation, from: number): number => {
  const { history } = simulation.server
  for (const change of history.slice(from)) {
    if (change.kind === agentTasks.plural) judgeTask(simulation, change)
    if (change.kind === agentTasks.plural && change.type === "ADDED") judgeAttempt(simulation, change)
    if (change.kind === agentTasks.plural && change.type === "DELETED") simulation.madeForGone.set(change.object.metadata.uid, 0)
    if (change.kind === jobs.plural) judgeJob(simulation, change)
    if (change.kind === pods.plural) judgePod(simulation, change)
    if (change.kind === jobs.plural && change.before !== undefined) {
      demand(isOwned(change.before), "I13", () => `the stranger's Job ${change.object.metadata.name} was touched`)
    }
    if (change.kind === leases.plural && change.before !== undefined) judgeLease(change.before, change.object)
    judgeDrain(simulation, change)
  }
  if (simulation.isDrained) simulation.renew()
  judgeTruth(simulation)
  judgePlans(simulation)
  judgeLimits(simulation)
  if (simulation.pool !== undefined) judgePool(simulation, simulation.pool)
  return history.length
}
