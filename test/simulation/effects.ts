// What engines really made, held against the stored state and what people are told of it; a part of the invariants.
// Invariant: what an engine made or began is in the state; or the stage's view names it, and its workspace waits for a person.
// Used by test/simulation/invariants.
import { assignmentId } from "../../src/schema/api/pool-api.ts"
import type { AgentTask } from "../../src/schema/task/agent-task.ts"
import { type Engine, idAt, wantedOf } from "./engine.ts"
import type { PoolServer, Stored } from "./pool-server.ts"
import { same } from "./same.ts"
import type { Simulation } from "./simulation.ts"
import { demand } from "./violation.ts"

/** The id of the pool's stage that a task is, or "". */
export const stageIdOf = ({ spec }: AgentTask): string =>
  spec.pool === undefined ? "" : assignmentId(spec.pool.runId, spec.stage, spec.attempt ?? 1)

/** The addresses of what is in the newest state of the workspace that this run is of. */
const savedOfRun = (runId: string | undefined, pool: PoolServer, stored: Stored): ReadonlyArray<string> =>
  pool.savedOf(stored.runs.find(({ id }) => id === runId)?.workspaceId ?? "", stored)

/**
 * Reports whether everything that the engine made is in the state: its last state is stored, or one before that is and the newest lacks
 * nothing, as when the engine is killed after it has written all.
 */
export const isInState = ({ acknowledged, lastState = "", made, task }: Engine, pool: PoolServer, stored: Stored): boolean => {
  if (stored.digests.has(lastState)) return true
  const saved = savedOfRun(task.spec.pool?.runId, pool, stored)
  return acknowledged.size > 0 && made.every((address) => saved.includes(address))
}

/** Reports whether the server was told what the apply of this run makes. It may not be: a plan is good without that. */
const isPlanned = ({ task }: Engine, { heard }: PoolServer, { stages }: Stored): boolean => {
  const plan = stages.findLast(({ runId, stage }) => runId === task.spec.pool?.runId && stage === "plan")
  return (heard.get(plan?.id ?? "") ?? []).length >= wantedOf(task).length
}

/**
 * Checks each engine that made or began something and whose stage is over. If its plan was told, all of that is named, though its worker
 * vanished. What the server has heard of, however late, is in doubt, or was named when a person looked. If the worker had the time to tell
 * everything before its result, all is named with its id, or as begun, and nothing that never began.
 */
export const judgeEffects = ({ truth: { engines, hurried, results } }: Simulation, pool: PoolServer, stored: Stored): void => {
  for (const engine of engines) {
    const { begun, isUnsure, known, made, task } = engine
    const stage = begun.length === 0 ? undefined : stored.stages.find(({ id }) => id === stageIdOf(task))
    if (stage === undefined || stage.result === null) continue
    const { effects, id, result, runId } = stage
    const saved = savedOfRun(runId, pool, stored)
    const missing = (isUnsure ? begun : made).filter((address) => !saved.includes(address))
    const { unknown = [], unsaved = [], unseen = [] } = effects ?? {}
    const doubt = stored.doubts.get(id)
    const isForPeople = doubt === "open" || doubt === "settled"
    const isNamed = (address: string, isKnown: boolean): boolean =>
      isKnown
        ? unsaved.some((one) => one.address === address && one.id === idAt(address))
        : unknown.some((one) => one.address === address)
    const demandNamed = (address: string, isThere: boolean) =>
      demand(
        isThere && isForPeople,
        "I4",
        () => `${id} made or began ${address}, which is in no state, and people are told ${JSON.stringify(effects)}`
      )
    if (isPlanned(engine, pool, stored)) {
      for (const address of missing) demandNamed(address, [...unknown, ...unsaved, ...unseen].some((one) => one.address === address))
    }
    const heard = pool.heard.get(id) ?? []
    for (const address of missing.filter((address) => heard.some((entry) => entry.address === address))) {
      const isDone = heard.some((entry) => entry.address === address && entry.kind === "done")
      demandNamed(address, doubt === "open" || isNamed(address, isDone))
    }
    const told = results.get(task.metadata.uid)
    if (told === undefined) continue
    for (const address of missing.filter((address) => known.includes(address))) {
      demand(told.message.includes(address), "I4", () => `${id} made ${address}, and its result leaves that out: ${told.message}`)
    }
    if (hurried.has(task.metadata.uid) || !same(told, result)) continue
    for (const address of missing) demandNamed(address, isNamed(address, known.includes(address)))
    demand(unseen.length === 0, "I4", () => `${id} has told all that it made, and people have to look for ${JSON.stringify(unseen)}`)
  }
}
