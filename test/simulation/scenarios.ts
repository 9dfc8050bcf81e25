// The scripts that crashes are enumerated in: what people and nodes do from the beginning to the end of a few tasks, with no fault.
// Invariant: a script and the crashes in it always give the same run.
// Used by test/simulation/crashes.
import type { ScenarioName } from "./pinned-points.ts"
import type { Simulation } from "./simulation.ts"

export interface Scenario {
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

export const scenarios: Readonly<Record<ScenarioName, Scenario>> = {
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
