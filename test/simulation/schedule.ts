// The schedule of a seed: a begin that brings tasks or runs to where random steps seldom get, and then up to a hundred random steps.
// Invariant: a seed gives the same schedule on every machine, and a begin has no step that the random ones do not have.
// Used by test/simulation/run.
import { mostRetries } from "../../src/core/run/retries.ts"
import { type Fault, randomOf } from "./one-thread.ts"
import { templates } from "./simulation.ts"
import { noContainers, rows, type Step, type Verb } from "./steps.ts"

const faults: ReadonlyArray<Fault> = [
  "lost answer",
  "lost answer",
  "not sent",
  "conflict",
  "too many requests",
  "failed before",
  "failed after",
  "killed before",
  "killed after"
]

/** What a begin draws from: the schedule's tasks, and numbers below a limit. */
interface Draw {
  readonly withPool: boolean
  readonly task: () => number
  readonly below: (limit: number) => number
}
type Begin = (draw: Draw) => ReadonlyArray<Step>

const step = (verb: Verb, by = 0, nth = 0): Step => ({ do: verb, nth, by, fault: "none" })
const calm = (rounds: number, by = 0): ReadonlyArray<Step> => Array.from({ length: rounds }, () => step("all goes well for a while", by))
/** Indexes of the times that go by: a second, more than the shortest pause between two launches, and as long as most starts may take. */
const [aSecond, aPause, aStart] = [1, 3, 5]

/**
 * Starts two runs, brings the first one's plan to a good end, and goes on for some rounds. The number says whether the first one applies by
 * itself.
 */
const runsUnderWay: Begin = ({ below }) => [
  step("start a run", below(10) < 3 ? 5 : 3),
  step("start a run", 3),
  ...calm(7),
  step("an engine ends"),
  ...calm(below(10)),
  ...below(10) < 3 ? [step("a state is locked by force")] : []
]

/**
 * Starts a task, for some rounds, and perhaps brings its engine to a good end, goes on, and has the source publish. Random steps alone bring
 * one schedule in eight to an engine.
 */
const taskUnderWay: Begin = ({ below, task }) => {
  const after = Math.max(0, below(16) - 8)
  return [
    step("create a task", 0, task()),
    ...calm(below(14)),
    ...after > 0 ? [step("an engine ends"), ...calm(after), step("a source has something new")] : []
  ]
}

/** Starts a task whose Pod gets a node, and no image until that may have taken too long. */
const noImage: Begin = ({ below, task }) => [
  step("create a task", 0, task()),
  ...calm(2 + below(2), noContainers),
  step("no image for a Pod", below(2)),
  step("time goes by", below(1 + aStart)),
  ...calm(below(3), noContainers)
]

/** Starts a task whose Pod is evicted before a worker starts, and drains the cluster about when the next launch is due. */
const betweenLaunches: Begin = ({ below, task }) => [
  step("create a task", 0, task()),
  ...calm(6, noContainers),
  step("a Pod is evicted"),
  ...calm(3, noContainers),
  step("time goes by", aPause),
  ...calm(5 + below(4), noContainers),
  step("the cluster is drained"),
  ...calm(8, noContainers)
]

/** Has the API server fail when it makes the Job of one of two plans of which only one may run; more may be made later. */
const unsureLaunch: Begin = ({ below }) => [
  step("the values change"),
  step("time goes by", aSecond),
  step("create a task", 0, 2),
  step("create a task", 0, 4),
  ...calm(1),
  { ...step("all goes well for a while"), fault: below(3) === 0 ? "failed before" : "failed after" },
  ...calm(below(3))
]

/** Starts a plan that follows a source, or one of the pool, and disrupts it once more than it is made again. */
const disruptedPlan: Begin = ({ below, withPool }) => [
  withPool ? step("start a run", 0) : step("create a task", 0, 5 + below(2)),
  ...Array.from({ length: 1 + mostRetries }, () => [
    ...calm(12),
    step("a Pod is evicted"),
    ...calm(4),
    step("time goes by", aStart)
  ]).flat(),
  ...calm(below(9))
]

/**
 * Ends a run by force while its apply goes on, and settles that doubt, so that the next run of the workspace goes on to its own apply. About
 * when that is offered, the former engine ends with a state that is refused, and the workspace is in doubt again.
 */
const doubtAfterOffer: Begin = ({ below }) => [
  step("start a run", 3),
  step("start a run", 3, 2),
  ...calm(7),
  step("an engine ends"),
  ...calm(12),
  step("end a run by force"),
  step("a rescue is settled"),
  ...calm(8),
  step("an engine ends", 0, 1),
  ...calm(below(8)),
  step("an engine ends"),
  ...calm(below(8))
]

/** Starts a run, and brings its apply to any moment of what its engine makes. */
const applyUnderWay: Begin = ({ below }) => [
  step("start a run", 3),
  ...calm(7),
  step("an engine ends"),
  ...calm(12 + below(6)),
  ...Array.from({ length: below(3) }, () => step("an engine goes on"))
]

/** Kills the engine of an apply, or has its provider die, while its worker goes on, some of whose requests are lost. */
const brokenApply: Begin = (draw) => [
  ...applyUnderWay(draw),
  step(draw.below(2) === 0 ? "an engine is killed" : "a provider dies"),
  ...Array.from({ length: draw.below(4) }, (): ReadonlyArray<Step> => [
    step("time goes by", draw.below(1 + aSecond)),
    { ...step("answer a worker", 0, draw.below(2)), fault: "not sent" }
  ]).flat(),
  ...calm(draw.below(8))
]

/** Ends a run by force, and settles that doubt, while its engine goes on, so that the server hears late of what this makes. */
const heardLate: Begin = (draw) => [
  ...applyUnderWay(draw),
  step("end a run by force"),
  ...calm(draw.below(2)),
  step("a rescue is settled"),
  ...calm(draw.below(8))
]

/** Ends an apply abruptly, and imports what is missing then; that import is confirmed and applies for some rounds. */
const importedApply: Begin = (draw) => [
  ...applyUnderWay(draw),
  ...calm(4),
  draw.below(2) === 0 ? step("an engine is killed") : step("a Pod is evicted", 0, 1),
  ...calm(6),
  step("a rescue is imported"),
  ...calm(7),
  step("an engine ends"),
  ...calm(3),
  step("confirm a run", 0, 1),
  ...calm(6 + draw.below(6)),
  ...draw.below(2) === 0 ? [step("an engine ends"), ...calm(draw.below(4))] : []
]

interface Begins {
  readonly weight: number
  readonly begin: Begin
}
const nothing: Begin = () => []
/** A schedule begins with one of these, so often. */
const begins: ReadonlyArray<Begins> = [
  { weight: 40, begin: nothing },
  { weight: 50, begin: taskUnderWay },
  { weight: 5, begin: noImage },
  { weight: 5, begin: betweenLaunches },
  { weight: 5, begin: unsureLaunch },
  { weight: 3, begin: disruptedPlan }
]
/** One with a pool begins with one of these first. */
const poolBegins: ReadonlyArray<Begins> = [
  { weight: 30, begin: nothing },
  { weight: 50, begin: runsUnderWay },
  { weight: 10, begin: doubtAfterOffer },
  { weight: 15, begin: brokenApply },
  { weight: 10, begin: heardLate },
  { weight: 10, begin: importedApply }
]

/**
 * Makes the schedule of a seed, with few tasks. Half of the kinds of trouble are left out at random, so that rare kinds meet without the
 * others in the way.
 */
export const schedule = (seed: number, { withPool = false } = {}): ReadonlyArray<Step> => {
  const random = randomOf(seed)
  const length = 20 + Math.floor(random() ** 2 * 80)
  const tasks = 1 + Math.floor(random() * 3)
  const offset = Math.floor(random() * templates.length)
  const below = (limit: number) => Math.floor(random() * limit)
  const task = () => (offset + below(tasks)) % templates.length
  const draw: Draw = { below, task, withPool }
  const mine = rows.filter(({ ofPool, trouble }) => (withPool || ofPool === undefined) && (trouble === undefined || random() < 0.5))
  const myFaults = faults.filter(() => random() < 0.5)
  const faultRate = random() < 0.3 ? 0 : random() * 0.3
  const drawOf = <A extends { readonly weight: number }>(all: ReadonlyArray<A>): A | undefined => {
    let left = random() * all.reduce((sum, { weight }) => sum + weight, 0)
    return all.find(({ weight }) => (left -= weight) < 0)
  }
  return [
    step("a controller starts"),
    ...withPool ? drawOf(poolBegins)?.begin(draw) ?? [] : [],
    ...drawOf(begins)?.begin(draw) ?? [],
    ...random() < 0.1 ? [step("the values change", 0, below(8))] : [],
    ...Array.from({ length }, (): Step => {
      const verb = drawOf(mine)?.verb ?? "time goes by"
      const nth = verb === "create a task" ? task() : below(8)
      return { do: verb, nth, by: below(8), fault: random() < faultRate ? myFaults[below(myFaults.length)] ?? "none" : "none" }
    })
  ]
}
