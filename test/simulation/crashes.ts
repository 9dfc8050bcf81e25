// A scenario played with crashes in it: a process killed, a message lost or a server failed, before or after a request, or the pool's server
// killed at a commit. One of a controller or server changes no task's end; one of a worker may make its task fail, but never starts an engine
// twice. Used by test/simulation/crash-points and test/simulation/crash-pairs.
import { taskUidLabel } from "../../src/core/manifest/labels.ts"
import { judge } from "./invariants.ts"
import { isCommit } from "./mortal.ts"
import type { Fault, Process } from "./one-thread.ts"
import type { ScenarioName } from "./pinned-points.ts"
import { comeToRest, stayAtRest } from "./run.ts"
import { scenarios } from "./scenarios.ts"
import { Simulation } from "./simulation.ts"
import { Violation } from "./violation.ts"

const deaths: ReadonlyArray<Fault> = ["killed before", "killed after"]
const modes: ReadonlyArray<Fault> = [...deaths, "lost answer", "not sent", "failed before", "failed after"]
/** In which ways this request can fail. At a commit, a server can only die. */
export const waysOf = (request: string): ReadonlyArray<Fault> => isCommit(request) ? deaths : modes

export interface Crash {
  /** The number of the request or commit that it strikes, counted from the beginning of the run. */
  readonly at: number
  readonly mode: Fault
}
export interface End {
  /** What was asked for, and committed for that by the pool's server, until all was at rest, in order. */
  readonly requests: ReadonlyArray<string>
  /** How each task ended, and how often its engine was started, by the task's name. */
  readonly tasks: Readonly<Record<string, string>>
  /** The names of the tasks whose worker was killed. */
  readonly killed: ReadonlySet<string>
}

/** Plays the scenario with these crashes, and checks all invariants after each step. */
export const play = (name: ScenarioName, crashes: ReadonlyArray<Crash> = []): End => {
  const { [name]: scenario } = scenarios
  const simulation = new Simulation(scenario.seed, scenario)
  const killed = new Set<string>()
  const requests: Array<string> = []
  let judged = 0
  const goOn = (round: Parameters<Simulation["round"]>[0]) => {
    simulation.round(round)
    judged = judge(simulation, judged)
  }
  simulation.disturb = (process: Process, what: string) => {
    const { mode = "none" } = crashes.find(({ at }) => at === requests.length) ?? {}
    requests.push(what)
    if (mode === "killed before" || mode === "killed after") {
      const uid = simulation.cluster.pods.find(({ metadata }) => metadata.uid === process.name)?.metadata.labels?.[taskUidLabel]
      const task = simulation.tasks.find(({ metadata }) => metadata.uid === uid)?.metadata.name
      if (task !== undefined) killed.add(task)
    }
    return mode
  }
  scenario.begin(simulation)
  for (let round = 0; round < 40; round++) {
    simulation.start("a")
    simulation.pool?.start()
    goOn({ containersStart: false, enginesEnd: false })
    scenario.beside?.(simulation)
    goOn({ containersStart: scenario.containersStart ?? true, enginesEnd: scenario.enginesEnd?.(simulation) ?? true })
    if (simulation.isOver) break
  }
  comeToRest(simulation, judged)
  simulation.disturb = () => "none"
  stayAtRest(simulation)
  simulation.pool?.close()
  const ended = [...simulation.lookedAt, ...simulation.tasks]
  const tasks = Object.fromEntries(ended.map(({ metadata: { name, uid }, status: { phase, reason } }) => [
    name,
    `${phase}/${reason}, ${simulation.truth.engines.filter(({ task }) => task.metadata.uid === uid).length} starts`
  ]))
  return { requests, tasks, killed }
}

/**
 * Reports whether all ended as without a crash. A task may fail because its own worker was killed; if it is a plan, its apply never comes.
 */
const isAs = (clean: End, { killed, tasks }: End): boolean => {
  const excused = new Set([...killed].filter((name) => /^Failed\/(?:Lost|OutOfMemory|StartupTimeout),/u.test(tasks[name] ?? "")))
  const never = new Set([...excused].map((name) => `${name.replace(/-plan$/u, "")}-apply`))
  return Object.keys({ ...clean.tasks, ...tasks }).every((name) =>
    tasks[name] === clean.tasks[name] || excused.has(name) || (never.has(name) && !(name in tasks))
  )
}

interface Tried {
  /** What went wrong, or "". */
  readonly wrong: string
  /** The requests of the run; none if it broke an invariant. */
  readonly requests: ReadonlyArray<string>
}

/** Plays the scenario with these crashes, and compares its end with that of the clean run. */
export const tryWith = (name: ScenarioName, clean: End, crashes: ReadonlyArray<Crash>): Tried => {
  const told = (what: string) => `${name}, ${crashes.map(({ at, mode }) => `${mode} request ${at}`).join(" and ")}: ${what}`
  try {
    const end = play(name, crashes)
    const wrong = isAs(clean, end) ? "" : told(`${JSON.stringify(end.tasks)}; else ${JSON.stringify(clean.tasks)}`)
    return { wrong, requests: end.requests }
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    return { wrong: told(error.message), requests: [] }
  }
}
