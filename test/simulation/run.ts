// Runs a schedule: checks all invariants after every step, then goes on without faults until everything has ended and is at rest.
// A schedule that fails is made as short as possible by leaving out steps and faults.
// Used by the tests beside it and by test/simulation/main.
import { Predicate } from "effect"
import { isOver } from "../../src/core/task/status.ts"
import type { KubernetesObject } from "../../src/kubernetes/object.ts"
import { judge, judgeEnd, waitForNobody } from "./invariants.ts"
import { schedule } from "./schedule.ts"
import { garbageUid, Simulation } from "./simulation.ts"
import { perform, type Step } from "./steps.ts"
import { Violation } from "./violation.ts"

export interface Failure {
  readonly seed: number
  readonly steps: ReadonlyArray<Step>
  readonly violation: Violation
}

/**
 * One schedule in so many has a pool, and takes as long as ten without one. The number is a prime, so that schedules with a pool come
 * with everything else that depends on the seed.
 */
const poolEvery = 17
const hasPool = (seed: number): boolean => seed % poolEvery === 0
/** In one schedule in seven, a webhook adds a container to each Pod that does not end with the worker. */
const hasProxy = (seed: number): boolean => seed % 7 === 5
/** Enough for three Jobs one after another that are let go after hours, with a round in ten seconds for what polls. */
const longestRounds = 2_400
/** More rounds than a controller that starts needs until it has nothing more to ask. */
const longestStart = 20
/** For how long there may be nothing to do: longer than any backoff. */
const longestSilenceMillis = 120_000
/** Goes on, with faults left as they are, while no Job is there but a task could start; fails once nothing moves any more. */
const comeToStart = (simulation: Simulation, judged: number): number => {
  const { thread } = simulation
  let from = judged
  let movedAt = thread.elapsed
  for (let round = 0; waitForNobody(simulation).length > 0; round++) {
    if (thread.elapsed - movedAt >= longestSilenceMillis || round >= longestRounds) {
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
    if (moved) movedAt = thread.elapsed
    else thread.pass(Math.min(Math.max(thread.untilWake, 0), 30_000))
  }
  return from
}

/** Repairs all faults and goes on until everything is over and nothing moves any more; fails after a few hours of simulated time. */
export const comeToRest = (simulation: Simulation, judged: number): number => {
  const { thread } = simulation
  let from = judged
  let movedAt = thread.elapsed
  simulation.heal()
  for (let round = 0; round < longestRounds; round++) {
    simulation.keepControlled()
    simulation.pool?.start()
    const moved = simulation.round({ enginesEnd: true })
    from = judge(simulation, from)
    if (!moved) { // a person looks at what is left when nothing goes on by itself
      simulation.pool?.settleAll()
      simulation.settleDoubts()
      simulation.pool?.confirmAll()
      simulation.letJobsGo()
    }
    if (moved) {
      movedAt = thread.elapsed
      continue
    }
    if (thread.elapsed - movedAt >= longestSilenceMillis && simulation.atRest) {
      judgeEnd(simulation)
      return from
    }
    thread.pass(Math.min(Math.max(thread.untilWake, 0), 30_000))
  }
  const open = simulation.tasks.filter(({ status }) => !isOver(status.phase)).map(({ metadata, status }) =>
    `${metadata.name} is ${status.phase}: ${status.message}`
  )
  const runs = simulation.pool?.stored.runs.map(({ id, status }) => `${id} is ${status}`) ?? []
  const left = [...simulation.cluster.jobs, ...simulation.cluster.pods].map(({ metadata }) => metadata.name)
  throw new Violation(
    "I12",
    `not at rest after ${longestRounds} rounds; ${[...open, ...runs, `left: ${left.slice(0, 5).join(", ")}`].join("; ")}`
  )
}

/** Reports whether this is an Event of the task that nobody understands. It is made by best effort, and so maybe only at the next start. */
const isOfGarbage = ({ regarding }: KubernetesObject): boolean => Predicate.hasProperty(regarding, "uid") && regarding.uid === garbageUid

/** Checks that nothing is written any more, neither by the running controllers nor by one that is started again. */
export const stayAtRest = (simulation: Simulation): void => {
  const { revision } = simulation.server
  const written = () => simulation.server.history.find((change) => change.revision > revision && !isOfGarbage(change.object))
  const quiet = (what: string, pausesSeconds: ReadonlyArray<number>) => {
    for (const seconds of pausesSeconds) {
      simulation.thread.pass(seconds * 1_000)
      let rounds = 0
      while (rounds < longestStart && simulation.round({ enginesEnd: true })) rounds++
    }
    const first = written()
    if (first !== undefined) throw new Violation("I9", `${what} wrote ${JSON.stringify(first.object)}`.slice(0, 800))
  }
  quiet("a controller with nothing to do", [0, 601, 30, 30]) // every ten minutes each key is reconciled again
  for (const name of simulation.controllers.keys()) simulation.crash(name)
  simulation.start("a")
  quiet("a controller that was started again", [0, 60, 240])
}

export const runSteps = (seed: number, steps: ReadonlyArray<Step>): Violation | undefined => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0 // a third of the time would go into stacks that nobody reads
  let simulation: Simulation | undefined
  try {
    simulation = new Simulation(seed, { withPool: hasPool(seed) })
    simulation.cluster.injectsProxy = hasProxy(seed)
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

/** Leaves out smaller and smaller parts, then faults and numbers, as long as the schedule still breaks the same invariant. */
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
