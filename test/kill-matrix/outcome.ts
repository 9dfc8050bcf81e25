// How a run ended that was hit, compared with what it really made, its state, its tasks' status and the next run.
// Used by matrix.kills.test.ts.
import { Schema } from "effect"
import type { RunView, StageView } from "../../src/schema/api/run.ts"
import { StateView } from "../../src/schema/api/state.ts"
import { taskOf, untilOver } from "../end-to-end/cluster.ts"
import { agentJob, type Files, type Scene } from "../end-to-end/product.ts"
import { stateOf } from "../end-to-end/server.ts"
import type { Outcome, Seen } from "./cells.ts"
import { type Listener, things } from "./workload.ts"

const decodeState = Schema.decodeUnknownSync(Schema.fromJsonString(StateView))

/** Returns the addresses that the journal names, and those that are only known to have been planned. */
const named = (stages: ReadonlyArray<StageView>) => {
  const effects = stages.flatMap((stage) => stage.effects ?? [])
  return {
    told: effects.flatMap(({ unknown, unsaved }) => [...unsaved, ...unknown]).map(({ address }) => address),
    planned: effects.flatMap(({ unseen = [] }) => unseen).map(({ address }) => address)
  }
}
/** How many resources the journal may lack: a worker that vanishes may take the engine's last line with it. */
const lastMoment = 1

const phaseOf = { finished: "Succeeded", errored: "Failed", canceled: "Cancelled" } as const

/** Compares the final phase of each task that still exists with what the server says of its stage. Returns the differences. */
const contradictions = async (run: RunView): Promise<ReadonlyArray<string>> => {
  const told = await Promise.all(run.stages.map(async ({ id, status }) => {
    const name = id.replace(/\.1$/u, "").replaceAll(".", "-")
    const there = await taskOf(name).then(() => true, () => false)
    const phase = status === "finished" || status === "errored" || status === "canceled" ? phaseOf[status] : undefined
    if (!there || phase === undefined) return []
    const task = await untilOver(name).catch((error: unknown) => String(error))
    return typeof task === "string"
      ? [task]
      : task.status.phase === phase
      ? []
      : [`${name} is ${task.status.phase}, but its stage ${status}`]
  }))
  return told.flat()
}

const Instance = Schema.Struct({ status: Schema.optionalKey(Schema.String) })
const isTainted = (instance: unknown): boolean => Schema.is(Instance)(instance) && instance.status === "tainted"

/** Returns the addresses in the state, and how many of them an interrupted engine marked as tainted, to be made anew. */
const stored = async (workspace: string) => {
  const { resources } = await stateOf(workspace).catch(() => ({ resources: [] }))
  const all = resources.flatMap(({ instances, name, type }) =>
    instances.map((instance) => ({ address: `${type}.${name}`, tainted: isTainted(instance) }))
  )
  return { addresses: all.map(({ address }) => address), tainted: all.filter(({ tainted }) => tainted).length }
}

export interface Aftermath {
  readonly outcome: Outcome
  /** What was seen beside the outcome, but for what the blow met. */
  readonly seen: Omit<Seen, "met">
  readonly doubled: ReadonlyArray<string>
  /** What was made and is neither in the state nor named. */
  readonly lost: ReadonlyArray<string>
  readonly troubles: ReadonlyArray<string>
}

/** Judges a run that has ended. It settles a state in doubt by keeping the stored one, and plans again. */
export const aftermath = async (run: RunView, scene: Scene, files: Files, listener: Listener): Promise<Aftermath> => {
  const made = listener.made(scene.name)
  const address = (thing: string) => `terraform_data.${thing}`
  const { addresses: inState, tainted } = await stored(scene.name)
  const unsaved = [...made.keys()].map(address).filter((_) => !inState.includes(_))
  const { planned, told } = named(run.stages)
  const untold = unsaved.filter((_) => !told.includes(_))
  const troubles = [...await contradictions(run)]
  if (untold.length > lastMoment) troubles.push(`the journal lacks ${untold.join(", ")}`)
  const state = decodeState((await agentJob("state", "show", scene.name, "-o", "json")).stdout)
  const pending = state.pending.length
  if (pending > 0) await agentJob("state", "rescue", scene.name, "--keep")
  if (pending === 0 && state.lock !== undefined) troubles.push(`the state is still locked by ${state.lock.stage}`)
  const next = await scene.run(files, "--plan-only")
  const { changes } = next.report.run
  const wanted = { add: things.length - inState.length + tainted, change: 0, destroy: tainted }
  if (JSON.stringify(changes ?? { add: 0, change: 0, destroy: 0 }) !== JSON.stringify(wanted)) {
    troubles.push(
      `the plan that follows has ${JSON.stringify(changes)} instead of ${JSON.stringify(wanted)} (${next.report.run.status}: ${
        next.report.run.failure ?? ""
      })`
    )
  }
  return {
    outcome: run.status === "applied" ? "applied" : unsaved.length === 0 && pending === 0 ? "in order" : "named",
    seen: {
      allMade: made.size === things.length,
      whole: inState.length === things.length && tainted === 0,
      planned: run.stages.some(({ stage, status }) => stage === "plan" && status === "finished")
    },
    doubled: [...made].flatMap(([thing, count]) => count > 1 ? [`${thing} ${count} times`] : []),
    lost: untold.filter((_) => !planned.includes(_)),
    troubles
  }
}
