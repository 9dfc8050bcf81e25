// Crashes enumerated: each scenario runs again for every request in it, with a process killed, a message lost or a server failed before or
// after it. One of a controller changes no task's end; one of a worker may make its task fail, but never starts an engine twice.
// Run by test/simulation/crash-points.test.ts, and counted by test/simulation/main.
import { taskUidLabel } from "../../src/core/manifest/labels.ts"
import { judge } from "./invariants.ts"
import type { Fault, Process } from "./one-thread.ts"
import type { ScenarioName } from "./pinned-points.ts"
import { comeToRest, stayAtRest } from "./run.ts"
import { Simulation } from "./simulation.ts"
import { Violation } from "./violation.ts"

interface Scenario {
  /** Chooses the configuration: `maxLaunches` is 1 + `seed` mod 3. */
  readonly seed: number
  readonly begin: (simulation: Simulation) => void
  /** What people and nodes do meanwhile; called once in every round. */
  readonly beside?: (simulation: Simulation) => void
  readonly enginesEnd?: (simulation: Simulation) => boolean
  readonly containersStart?: false
  readonly withPool?: true
}

const runningEngines = ({ truth }: Simulation) => truth.engines.filter(({ running }) => running)

const scenarios: Readonly<Record<ScenarioName, Scenario>> = {
  "a plan": { seed: 0, begin: (_) => _.create(2) },
  "an apply": { seed: 0, begin: (_) => _.create(0) },
  "a cancel in an apply": {
    seed: 0,
    begin: (_) => _.create(0),
    beside: (_) => {
      if (runningEngines(_).length > 0) _.cancel(0)
    },
    enginesEnd: (_) => runningEngines(_).some(({ interrupts }) => interrupts > 0)
  },
  "a cancel before the claim": {
    seed: 0,
    begin: (_) => _.create(0),
    beside: (_) => {
      if (_.cluster.jobs.length > 0) _.cancel(0)
    }
  },
  "a launch that fails": {
    seed: 0,
    begin: (_) => _.create(0),
    containersStart: false,
    beside: (_) => {
      for (const pod of _.cluster.pods) _.cluster.cannotStart(pod, "InvalidImageName")
    }
  },
  "a launch that fails, and another": {
    seed: 1,
    begin: (_) => _.create(0),
    beside: (_) => {
      for (const pod of _.cluster.pods) if (pod.metadata.name.endsWith("aaaa0")) _.cluster.evict(pod)
    }
  },
  "two applies to one workspace": {
    seed: 0,
    begin: (_) => {
      _.create(0)
      _.create(1)
    }
  },
  "a plan that is applied by itself": { seed: 0, begin: (_) => _.create(5) },
  "a run of the pool": { seed: 0, withPool: true, begin: (_) => _.startRun(0, 3) }
}

const modes: ReadonlyArray<Fault> = ["killed before", "killed after", "lost answer", "not sent", "failed before", "failed after"]

interface Crash {
  readonly at: number
  readonly mode: Fault
}
interface End {
  /** How many requests were made in all. */
  readonly requests: number
  /** How each task ended, and how often its engine was started, by the task's name. */
  readonly tasks: Readonly<Record<string, string>>
  /** The name of the task whose worker was struck; undefined if a controller was, or nobody. */
  readonly struck: string | undefined
}

const play = (scenario: Scenario, crash?: Crash): End => {
  const simulation = new Simulation(scenario.seed, scenario)
  let requests = 0
  let struck: End["struck"]
  let judged = 0
  simulation.disturb = (process: Process) => {
    if (requests++ !== crash?.at) return "none"
    const task = simulation.cluster.pods.find(({ metadata }) => metadata.uid === process.name)?.metadata.labels?.[taskUidLabel]
    struck = simulation.tasks.find(({ metadata }) => metadata.uid === task)?.metadata.name
    return crash.mode
  }
  scenario.begin(simulation)
  for (let round = 0; round < 40; round++) {
    simulation.start("a")
    simulation.round({ containersStart: false, enginesEnd: false })
    scenario.beside?.(simulation)
    simulation.round({ containersStart: scenario.containersStart ?? true, enginesEnd: scenario.enginesEnd?.(simulation) ?? true })
    judged = judge(simulation, judged)
    if (simulation.isOver) break
  }
  judged = comeToRest(simulation, judged)
  simulation.disturb = () => "none"
  stayAtRest(simulation)
  simulation.pool?.close()
  const tasks = Object.fromEntries(simulation.tasks.map(({ metadata: { name, uid }, status: { phase, reason } }) => [
    name,
    `${phase}/${reason}, ${simulation.truth.engines.filter(({ task }) => task.metadata.uid === uid).length} starts`
  ]))
  return { requests, tasks, struck }
}

/** Reports whether all ended as without a crash. A task may fail by a crash of its own worker; if it is a plan, its apply never comes. */
const isAs = (clean: End, { struck = "", tasks }: End): boolean => {
  const excused = /^Failed\/(?:Lost|OutOfMemory|StartupTimeout),/u.test(tasks[struck] ?? "") ? struck : undefined
  const never = excused === undefined ? undefined : `${excused.replace(/-plan$/u, "")}-apply`
  return Object.keys({ ...clean.tasks, ...tasks }).every((name) =>
    tasks[name] === clean.tasks[name] || name === excused || (name === never && !(name in tasks))
  )
}

/** Runs the scenario with every possible crash; returns how many there were, and a text for each that went wrong. */
export const crashEverywhere = (name: ScenarioName): { readonly points: number; readonly wrong: ReadonlyArray<string> } => {
  const clean = play(scenarios[name])
  const wrong: Array<string> = []
  let points = 0
  for (let at = 0; at < clean.requests; at++) {
    for (const mode of modes) {
      points++
      const where = `${name}, ${mode} request ${at}`
      try {
        const end = play(scenarios[name], { at, mode })
        if (!isAs(clean, end)) wrong.push(`${where}: ${JSON.stringify(end.tasks)}; else ${JSON.stringify(clean.tasks)}`)
      } catch (error) {
        if (!(error instanceof Violation)) throw error
        wrong.push(`${where}: ${error.message}`)
      }
    }
  }
  return { points, wrong }
}
