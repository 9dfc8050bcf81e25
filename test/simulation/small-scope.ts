// All orders in which a small installation can act, up to a number of steps from a moment that matters: two controllers that both lead, two
// tasks that change one workspace, two Pods at most for a Job, and one failure if it is asked for. No state that is reached breaks an invariant.
// Used by test/simulation/small-scope.test, which goes a few steps, and test/simulation/soak-small-scope.
import { createHash } from "node:crypto"
import { isOver } from "../../src/core/task/status.ts"
import { judge } from "./invariants.ts"
import type { Fault, Process } from "./one-thread.ts"
import { Simulation } from "./simulation.ts"
import { Violation } from "./violation.ts"

/** More than any of the moments needs. */
const longestRounds = 40
const untilThen = (simulation: Simulation, isThen: () => boolean, round: Parameters<Simulation["round"]>[0]): void => {
  for (let rounds = 0; !isThen(); rounds++) {
    if (rounds === longestRounds) throw new Error("The small installation does not come to the moment from which to go on.")
    simulation.round(round)
  }
}

/** The moments from which to go on, each with what leads to it from two tasks that nobody has heard of. */
const moments = {
  "two tasks are new": () => undefined,
  "two Pods of a Job have started": (simulation) => {
    const { cluster } = simulation
    untilThen(simulation, () => cluster.pods.length > 0, { containersStart: false, enginesEnd: false })
    for (const job of cluster.jobs) cluster.lookAtJob(job, true)
    for (const pod of cluster.pods) cluster.schedule(pod, "node-0")
    for (const pod of cluster.pods) cluster.startContainer(pod)
  },
  "an engine is at work": (simulation) => untilThen(simulation, () => simulation.truth.engines.length > 0, { enginesEnd: false }),
  "a task is over": (simulation) =>
    untilThen(simulation, () => simulation.tasks.some(({ status }) => isOver(status.phase)), { enginesEnd: true })
} satisfies Record<string, (simulation: Simulation) => void>
export type Moment = keyof typeof moments

/** Something that may happen next. */
interface Move {
  readonly what: string
  readonly isFailure: boolean
  readonly happen: () => void
}

const digest = (parts: ReadonlyArray<string>): string => createHash("sha256").update(parts.join("\n")).digest("base64")
const faults: ReadonlyArray<Fault> = ["none", "lost answer", "killed after"]
/** A wait that is longer is none of a start or of a retry. */
const longestWaitMillis = 60_000

/**
 * Names UIDs and versions by what they are of, so that they are the same in whatever order unlike things came to be: a UID by the name of its
 * object, a version by how many there were of its kind.
 */
class Names {
  readonly #names = new Map<string, string>()
  readonly #counts = new Map<string, number>()
  readonly #texts = new WeakMap<object, string>()
  #named = 0

  #next(what: string): string {
    const count = (this.#counts.get(what) ?? 0) + 1
    this.#counts.set(what, count)
    return `${what} ${count}`
  }
  /** Names what was written since the last time. */
  learn({ server: { history } }: Simulation): void {
    for (const { kind, object: { metadata: { name, uid } }, revision } of history.slice(this.#named)) {
      if (!this.#names.has(uid)) this.#names.set(uid, this.#next(`${kind}/${name}`))
      this.#names.set(`"resourceVersion":"${revision}"`, this.#next(kind))
    }
    this.#named = history.length
  }
  textOf(value: object): string {
    const known = this.#texts.get(value)
    if (known !== undefined) return known
    const text = JSON.stringify(value).replaceAll(/uid-\w+|"resourceVersion":"\d+"/gu, (found) => this.#names.get(found) ?? found)
    this.#texts.set(value, text)
    return text
  }
}

/** A run of the installation, with the digest of its state. */
class Run {
  readonly path: ReadonlyArray<string>
  readonly #simulation = new Simulation(0)
  readonly #names = new Names()
  /** A digest of all that each process has heard, and when: its state is made of that and of its seed. */
  readonly #heard = new Map<Process, string>()
  readonly #mostFailures: number
  #failures = 0
  #judged = 0

  constructor({ failures, from }: Pick<Scope, "failures" | "from">, path: ReadonlyArray<string>) {
    const simulation = this.#simulation
    this.path = path
    this.#mostFailures = failures
    for (const name of ["a", "b"] as const) simulation.start(name)
    for (let round = 0; round < 3; round++) simulation.round({ enginesEnd: false })
    for (const template of [0, 1]) simulation.create(template)
    moments[from](simulation)
    this.#judge()
    for (const what of path) this.happen(what)
  }

  #judge(): void {
    this.#names.learn(this.#simulation)
    this.#judged = judge(this.#simulation, this.#judged)
  }
  get #running() {
    const { controllers, workers } = this.#simulation
    return [...controllers.values(), ...workers]
  }
  #hear(process: Process, what: ReadonlyArray<string>): void {
    this.#heard.set(process, digest([this.#heard.get(process) ?? process.name, String(this.#simulation.thread.elapsed), ...what]))
  }
  /** The objects of this name, or all, as they are now. */
  #objects(name?: string): ReadonlyArray<string> {
    return this.#simulation.server.everything.filter(({ metadata }) => name === undefined || metadata.name === name).map((object) =>
      this.#names.textOf(object)
    ).sort()
  }

  /** A digest of all that decides on what may come next. */
  get state(): string {
    const { changes, cluster, launched, made, thread, truth } = this.#simulation
    const text = (value: unknown) => this.#names.textOf({ value })
    return digest([
      String(thread.elapsed),
      String(this.#failures),
      ...this.#objects(),
      ...this.#running.map(({ process, watches }) =>
        text([process.alive, this.#heard.get(process), [...watches].map(({ ahead }) => ahead)])
      ),
      ...truth.engines.map(({ exitCode, interrupts, running }) => text([running, exitCode, interrupts])),
      text(cluster.memory),
      text([[...launched].map(([uid, jobs]) => [uid, [...jobs]]), [...made], [...changes]])
    ])
  }

  get #moves(): ReadonlyArray<Move> {
    const { cluster, thread, truth } = this.#simulation
    const well = (what: string, happen: () => void): Move => ({ what, isFailure: false, happen })
    const heard = this.#running.filter(({ process }) => process.alive).flatMap(({ process, watches }) => [
      ...[...watches].filter(({ behind }) => behind).map((watch) =>
        well(`${process.name} hears of ${watch.plural}`, () => {
          this.#hear(process, watch.ahead.map((event) => this.#names.textOf(event)))
          watch.deliver(Infinity)
          thread.settle()
        })
      ),
      ...process.waits.flatMap((wait, nth) =>
        faults.map((fault): Move => ({
          what: `${process.name}: ${wait.what} (${nth})${fault === "none" ? "" : `, ${fault}`}`,
          isFailure: fault !== "none",
          happen: () => {
            const [, name] = wait.what.split("/")
            const before = this.#objects(name)
            wait.answer(fault)
            this.#names.learn(this.#simulation)
            this.#hear(process, [wait.what, fault, ...before, "then", ...this.#objects(name)])
          }
        }))
      )
    ])
    const jobs = cluster.jobs.flatMap((job): ReadonlyArray<Move> => [
      well(`the Job controller looks at ${job.metadata.name}`, () => cluster.lookAtJob(job)),
      ...cluster.pods.length < 2
        ? [{ what: `a second Pod for ${job.metadata.name}`, isFailure: true, happen: () => cluster.lookAtJob(job, true) }]
        : []
    ])
    const pods = cluster.pods.map((pod) =>
      well(`Pod ${pod.metadata.name} goes on`, () => {
        if (pod.metadata.deletionTimestamp !== undefined) cluster.terminate(pod, false)
        else if (pod.spec.nodeName === undefined) cluster.schedule(pod, "node-0")
        else cluster.startContainer(pod)
        cluster.report(pod.metadata)
      })
    )
    const engines = truth.engines.filter(({ running }) => running).map((engine) =>
      well(`the engine of ${engine.task.metadata.name} ends`, () => {
        for (const { process } of this.#running) if (process.name === engine.podUid) this.#hear(process, ["the engine has ended"])
        engine.end(0)
        thread.settle()
      })
    )
    const { untilWake } = thread
    const time = well("time goes by", () => {
      thread.pass(untilWake)
      for (const { process } of this.#running) this.#hear(process, ["time"])
    })
    // until something has failed, nothing waits for time
    return [...heard, ...jobs, ...pods, ...engines, ...this.#failures > 0 && untilWake < longestWaitMillis ? [time] : []]
  }
  /** What may come next. */
  get next(): ReadonlyArray<string> {
    return this.#moves.filter(({ isFailure }) => !isFailure || this.#failures < this.#mostFailures).map(({ what }) => what)
  }

  happen(what: string): void {
    const move = this.#moves.find((move) => move.what === what)
    if (move === undefined) throw new Error(`This cannot happen now: ${what}`)
    if (move.isFailure) this.#failures++
    move.happen()
    this.#judge()
  }
}

export interface Scope {
  readonly from: Moment
  readonly steps: number
  readonly failures: number
}

export interface Explored {
  /** How many states there are that differ. */
  readonly states: number
  /** The shortest way to a state that breaks an invariant, with what is wrong there; absent if there is none. */
  readonly violation?: string
}

const search = (scope: Scope): Explored => {
  const first = new Run(scope, [])
  const seen = new Set([first.state])
  let border: ReadonlyArray<Pick<Run, "next" | "path">> = [first]
  for (let step = 1; step <= scope.steps; step++) {
    const beyond: Array<Pick<Run, "next" | "path">> = []
    for (const { next, path } of border) {
      let here: Run | undefined
      for (const what of next) {
        const run: Run = here ?? new Run(scope, path)
        const before = run.state
        try {
          run.happen(what)
        } catch (error) {
          if (!(error instanceof Violation)) throw error
          return { states: seen.size, violation: [...path, what, error.message].join("\n") }
        }
        const { state } = run
        here = state === before ? run : undefined // where nothing has changed, the next thing may happen as well
        if (seen.has(state)) continue
        seen.add(state)
        beyond.push({ path: [...path, what], next: run.next })
      }
    }
    border = beyond
  }
  return { states: seen.size }
}

/** Comes to all states, those that are fewer steps away first. */
export const explore = (scope: Scope): Explored => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0 // a third of the time would go into stacks that nobody reads
  try {
    return search(scope)
  } finally {
    Error.stackTraceLimit = limit
  }
}
