// The kill matrix as data: what is killed, at which moment, and how the run has to end. An impossible cell says why.
// In every cell, nothing is made twice, and what was made is in the state or named with the run (see outcome.ts).
// Read by matrix.kills.test.ts.

export const moments = ["queued", "starting", "planning", "plan saved", "applying", "state pushed", "reporting"] as const
export type Moment = typeof moments[number]

export const targets = [
  "controller",
  "server",
  "worker",
  "worker out of memory",
  "exec loop",
  "engine",
  "runner out of memory",
  "disk full",
  "kubelet",
  "containerd",
  "kube-apiserver",
  "etcd",
  "Pod evicted",
  "Pod deleted",
  "Pod deleted by force",
  "Job deleted",
  "AgentTask deleted",
  "network of the Pod"
] as const
export type Target = typeof targets[number]

/**
 * How a run may end. `applied`: as if nothing had happened, except that a plan may have been made again. `in order`: it did not come to its
 * end, and the state has all that was made. `named`: the stage ended abruptly, and the result says so and names what the state lacks.
 */
export type Outcome = "applied" | "in order" | "named"

/**
 * What a blow met: its target, the exec loop with a command in work (one that it had taken and not ended), or the budget that keeps the
 * Pod of an apply from an eviction. A blow that met nothing has failed.
 */
export type Met = "target" | "command" | "budget"

/** What the tests see of a run apart from how it ended, where that depends on which of two things came first. */
export interface Seen {
  readonly met: Met
  /** The listener heard of all things. */
  readonly allMade: boolean
  /** The state has all things, and none of them is tainted. */
  readonly whole: boolean
  /** The server has the plan's result, which is a success. */
  readonly planned: boolean
}

/** An outcome that timing decides. */
export interface Decision {
  /** What decides, as a sentence for the matrix's page. */
  readonly by: string
  readonly outcome: (seen: Seen) => Outcome
}

export interface Cell {
  readonly target: Target
  readonly moment: Moment
  readonly outcome: Outcome | Decision
}

export interface Impossible {
  readonly target: Target
  readonly moment: Moment
  readonly why: string
}

/** Parts of the node and the control plane, which the tests start again. */
const parts = ["kubelet", "containerd", "kube-apiserver", "etcd"] as const
/** Targets that the tests keep away for so many seconds. */
export const away: ReadonlyArray<Target> = [...parts, "network of the Pod"]
export const secondsAway = 4
/** Parts of the whole installation or node. A run outlives each of them. */
const outlived: ReadonlyArray<Target> = ["controller", "server", ...parts]
/** Targets that are there only while a command of the engine runs. */
const ofEngine: ReadonlyArray<Target> = ["engine", "runner out of memory"]
/** Targets that are there once the containers run. */
const inContainers: ReadonlyArray<Target> = [...ofEngine, "worker", "worker out of memory", "exec loop"]
/** Deletions that interrupt an engine at work; also by force, as the kubelet gives the containers their grace all the same. */
const deletions: ReadonlyArray<Target> = ["Pod deleted", "Pod deleted by force", "Job deleted", "AgentTask deleted"]
const isPlan = (moment: Moment) => moment === "planning" || moment === "plan saved"

const byCommand: Decision = {
  by: "in order if the loop had a command in work as it died; else the next loop takes the next command: applied",
  outcome: ({ met }) => met === "command" ? "in order" : "applied"
}
const byInterrupt: Decision = {
  by: "in order if the interrupt came before the last thing was whole; else the apply ended by itself: applied",
  outcome: ({ whole }) => whole ? "applied" : "in order"
}
const byResult: Decision = {
  by: "applied if the plan had its result before it was hit; else in order",
  outcome: ({ planned }) => planned ? "applied" : "in order"
}
const byRequests: Decision = {
  by: "applied if the requests of the configuration itself outlasted the cut, so that all was made; else in order",
  outcome: ({ allMade }) => allMade ? "applied" : "in order"
}

const outcomeOf = (target: Target, moment: Moment): Outcome | Decision => {
  if (outlived.includes(target)) return "applied"
  if (moment === "reporting") return "applied" // the result is written, so no death changes it any more
  switch (target) {
    case "network of the Pod":
      return moment === "applying" ? byRequests : "applied" // the worker asks again until the network is back
    case "disk full":
      return moment === "planning" ? "in order" : "applied" // what is planned has to be written; an apply writes only its state, to the server
    case "Pod evicted":
      return "applied" // a plan is made again, and an apply cannot be evicted
    case "worker":
      return isPlan(moment) ? "applied" : "named" // a plan is made again
    case "worker out of memory":
      return moment === "plan saved" ? byResult : moment === "planning" ? "in order" : "named" // it would be too small for another plan too
    case "exec loop":
      return moment === "planning" ? byCommand : moment === "plan saved" ? "applied" : "named"
    case "engine":
    case "runner out of memory":
      return moment === "planning" ? "in order" : "named"
    case "Pod deleted":
    case "Pod deleted by force":
    case "Job deleted":
      return moment === "state pushed" ? byInterrupt : moment === "applying" ? "in order" : "applied" // a plan is made again
    case "AgentTask deleted":
      return moment === "state pushed" ? byInterrupt : moment === "plan saved" ? byResult : "in order" // which cancels the run
    default:
      return "applied"
  }
}

const impossible = (target: Target, moment: Moment): string | undefined => {
  if (moment === "queued" && !outlived.includes(target)) return "there is no task yet"
  if (moment === "starting" && inContainers.includes(target)) return "there is no such process yet"
  if (moment === "starting" && target === "disk full") return "there is no disk yet"
  if (moment === "starting" && target === "network of the Pod") return "there is no network yet"
  if ((moment === "plan saved" || moment === "reporting") && ofEngine.includes(target)) return "the engine's last command has ended"
  return undefined
}

const all = targets.flatMap((target) => moments.map((moment) => ({ target, moment, why: impossible(target, moment) })))

export const cells: ReadonlyArray<Cell> = all.flatMap(({ moment, target, why }) =>
  why === undefined ? [{ target, moment, outcome: outcomeOf(target, moment) }] : []
)
export const impossibleCells: ReadonlyArray<Impossible> = all.flatMap(({ moment, target, why }) =>
  why === undefined ? [] : [{ target, moment, why }]
)

/**
 * The cells as they run: moment by moment, so that minutes lie between two outages of one part. A watcher of Kubernetes waits twice as long
 * after each failure, up to a minute, and forgets its failures after two quiet minutes. One outage after the other would measure that.
 */
export const inTurn = moments.flatMap((moment) => cells.filter((cell) => cell.moment === moment))

/** The cells whose outcome timing decides, each with what decides it. */
export const decided = cells.flatMap(({ moment, outcome, target }) =>
  typeof outcome === "string" ? [] : [{ target, moment, by: outcome.by }]
)

/** Returns how the run has to end, for what was seen of it. */
export const expectedOf = ({ outcome }: Cell, seen: Seen): Outcome => typeof outcome === "string" ? outcome : outcome.outcome(seen)

/** Reports whether the apply is to wait for the blow: its own end must not come before an interrupt that takes several steps to arrive. */
export const waitsForBlow = ({ moment, target }: Cell): boolean => moment === "applying" && deletions.includes(target)

/** Returns what the blow may meet: the budget refuses the eviction of an apply until that has ended, which it may have as it reports. */
export const mayMeet = ({ moment, target }: Cell): ReadonlyArray<Met> => {
  if (target === "exec loop") return ["target", "command"]
  if (target !== "Pod evicted" || moment === "starting" || isPlan(moment)) return ["target"]
  return moment === "reporting" ? ["budget", "target"] : ["budget"]
}

/** Reports whether a name has one of the texts in it, which commas part. Without texts every name is chosen. */
export const isChosen = (name: string, texts = ""): boolean => texts.split(",").some((text) => name.includes(text))
