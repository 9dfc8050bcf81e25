// Runs a schedule: after every step all invariants, then a fair suffix in which everything must come to its end and to rest.
// A schedule that fails is made as short as it gets by leaving steps out and faults away.
// Used by the tests beside it and by test/simulation/main.
import { isOver } from "../../src/core/status.ts"
import { judge, judgeEnd, Violation, waitForNobody } from "./invariants.ts"
import { Simulation } from "./simulation.ts"
import { perform, schedule, type Step } from "./steps.ts"

export interface Failure {
  readonly seed: number
  readonly steps: ReadonlyArray<Step>
  readonly violation: Violation
}

/**
 * Each so many-th schedule has a pool, and takes as long as eight without. A prime, so that such ones meet everything else that goes by the
 * seed.
 */
const poolEvery = 17
const hasPool = (seed: number): boolean => seed % poolEvery === 0
const longestRounds = 600
/** Rounds of up to 30 s without anything to do: longer than anybody backs off. */
const longestSilence = 4

/** Whatever is broken still, while no Job is there one of those that may start does, before all have fallen silent. */
const comeToStart = (simulation: Simulation, judged: number): number => {
  let from = judged
  let still = 0
  for (let round = 0; waitForNobody(simulation).length > 0; round++) {
    if (still >= longestSilence || round >= longestRounds) {
      throw new Violation(
        "I12",
        `no Job is there, and nobody starts of ${
          waitForNobody(simulation).map(({ metadata, status }) => `${metadata.name}, which says: ${status.message}`).join("; ")
        }`
      )
    }
    simulation.keepControlled()
    const moved = simulation.round({ enginesEnd: false })
    from = judge(simulation, from)
    still = moved ? 0 : still + 1
    if (!moved) simulation.thread.pass(Math.min(Math.max(simulation.thread.untilWake, 0), 30_000))
  }
  return from
}

/** Until everything is over and nothing moves any more; at most a few hours of its time. */
export const comeToRest = (simulation: Simulation, judged: number): number => {
  let from = judged
  let still = 0
  simulation.heal()
  for (let round = 0; round < longestRounds; round++) {
    simulation.keepControlled()
    const moved = simulation.round({ enginesEnd: true })
    from = judge(simulation, from)
    if (!moved) simulation.pool?.settleAll() // a person looks when nothing goes on by itself
    still = moved ? 0 : still + 1
    if (moved) continue
    if (still >= longestSilence && simulation.atRest) {
      judgeEnd(simulation)
      return from
    }
    simulation.thread.pass(Math.min(Math.max(simulation.thread.untilWake, 0), 30_000))
  }
  const open = simulation.tasks.filter(({ status }) => !isOver(status.phase)).map(({ metadata, status }) =>
    `${metadata.name} is ${status.phase}: ${status.message}`
  )
  const runs = simulation.pool?.runs.map(({ id, status }) => `${id} is ${status}`) ?? []
  const left = [...simulation.cluster.jobs, ...simulation.cluster.pods].map(({ metadata }) => metadata.name)
  throw new Violation(
    "I12",
    `not at rest after ${longestRounds} rounds; ${[...open, ...runs, `left: ${left.slice(0, 5).join(", ")}`].join("; ")}`
  )
}

/** Nothing is left to do, for what runs and for one that starts anew. */
export const stayAtRest = (simulation: Simulation): void => {
  const { revision } = simulation.server
  const quiet = (what: string, minutes: number) => {
    for (let round = 0; round < minutes; round++) if (!simulation.round({ enginesEnd: true })) simulation.thread.pass(60_000)
    if (simulation.server.revision !== revision) {
      throw new Violation("I9", `${what} wrote ${JSON.stringify(simulation.server.history.at(-1)?.object)}`.slice(0, 800))
    }
  }
  quiet("a controller with nothing to do", 11) // each key counts as changed every ten
  for (const name of simulation.controllers.keys()) simulation.crash(name)
  simulation.start("a")
  quiet("a controller that was started again", 5)
}

export const runSteps = (seed: number, steps: ReadonlyArray<Step>): Violation | undefined => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0 // or a third of the time goes into stacks that nobody reads
  let simulation: Simulation | undefined
  try {
    simulation = new Simulation(seed, { withPool: hasPool(seed) })
    let judged = 0
    for (const step of steps) {
      perform(simulation, step)
      judged = judge(simulation, judged)
    }
    comeToRest(simulation, comeToStart(simulation, judged))
    stayAtRest(simulation)
    return undefined
  } catch (error) {
    return error instanceof Violation ? error : new Violation("I18", error instanceof Error ? error.stack ?? error.message : String(error))
  } finally {
    Error.stackTraceLimit = limit
    simulation?.pool?.close()
  }
}

/** Leaves out ever smaller parts, then takes away faults and numbers, as long as it fails in the same way. */
const shorten = (seed: number, failing: ReadonlyArray<Step>, { invariant }: Violation): ReadonlyArray<Step> => {
  const stillFails = (steps: ReadonlyArray<Step>) => runSteps(seed, steps)?.invariant === invariant
  let steps = failing
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < steps.length;) {
      const fewer = [...steps.slice(0, at), ...steps.slice(at + size)]
      if (stillFails(fewer)) steps = fewer
      else at += size
    }
  }
  const simpler: ReadonlyArray<Partial<Step>> = [{ fault: "none" }, { nth: 0 }, { by: 0 }]
  for (const change of simpler) {
    for (let at = 0; at < steps.length; at++) {
      const changed = steps.map((step, index) => index === at ? { ...step, ...change } : step)
      if (stillFails(changed)) steps = changed
    }
  }
  return steps
}

export const runSeed = (seed: number): Failure | undefined => {
  const steps = schedule(seed, { withPool: hasPool(seed) })
  const violation = runSteps(seed, steps)
  if (violation === undefined) return undefined
  const short = process.env["SIMULATION_SHORTEN"] === "no" ? steps : shorten(seed, steps, violation)
  return { seed, steps: short, violation: runSteps(seed, short) ?? violation }
}

export const told = ({ seed, steps, violation }: Failure): string =>
  [
    `${violation.message}`,
    `make replay SEED=${seed}`,
    ...steps.map((step) => `  ${step.do} nth=${step.nth} by=${step.by}${step.fault === "none" ? "" : ` fault=${step.fault}`}`)
  ].join("\n")
