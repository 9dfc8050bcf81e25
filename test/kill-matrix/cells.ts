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
 * How a run may end. `applied`: as if nothing had happened, except that a plan may have been made again. `in order`: the engine was stopped
 * with one interrupt, and the state is saved. `named`: the stage ended abruptly, and the result says so and names what the state lacks.
 * A cell with several outcomes is a race.
 */
export type Outcome = "applied" | "in order" | "named"

export interface Cell {
  readonly target: Target
  readonly moment: Moment
  readonly outcomes: ReadonlyArray<Outcome>
}

export interface Impossible {
  readonly target: Target
  readonly moment: Moment
  readonly why: string
}

/** Parts of the whole installation or node. A run outlives each of them. */
const outlived: ReadonlyArray<Target> = ["controller", "server", "kubelet", "containerd", "kube-apiserver", "etcd"]
/** Targets that matter only while the engine runs. */
const inRunner: ReadonlyArray<Target> = ["exec loop", "engine", "runner out of memory", "network of the Pod"]
const isPlan = (moment: Moment) => moment === "planning" || moment === "plan saved"

const outcomesOf = (target: Target, moment: Moment): ReadonlyArray<Outcome> => {
  if (outlived.includes(target)) return ["applied"]
  if (moment === "reporting") return ["applied"] // the result is written, so no death changes it any more
  switch (target) {
    case "network of the Pod":
      return ["applied", "in order"] // what the configuration itself asks for over the network may fail
    case "disk full":
      return ["applied", "in order"] // what the engine itself has to write fails
    case "Pod evicted":
      return ["applied"] // a plan is made again, and an apply cannot be evicted
    case "worker out of memory":
      return moment === "applying" ? ["named"] : ["named", "applied"]
    case "worker":
    case "Pod deleted by force":
      return isPlan(moment) || moment === "starting" ? ["applied"] : moment === "state pushed" ? ["named", "applied"] : ["named"]
    case "exec loop":
    case "engine":
    case "runner out of memory":
      return isPlan(moment) ? ["named", "applied"] : moment === "starting" ? ["applied"] : ["named", "applied"]
    case "Pod deleted":
    case "Job deleted":
      return isPlan(moment) || moment === "starting" ? ["applied"] : ["in order", "applied"]
    case "AgentTask deleted":
      return moment === "plan saved" ? ["in order", "applied"] : moment === "state pushed" ? ["in order", "applied"] : ["in order"]
    default:
      return ["applied"]
  }
}

const impossible = (target: Target, moment: Moment): string | undefined => {
  if (moment === "queued" && !outlived.includes(target)) return "there is no task yet"
  if (moment === "starting" && ["worker", "worker out of memory", ...inRunner].includes(target)) return "there is no such process yet"
  if (moment === "starting" && target === "disk full") return "there is no disk yet"
  if ((moment === "plan saved" || moment === "reporting") && target === "worker out of memory") return "it is over before its memory is"
  if (moment === "plan saved" && inRunner.includes(target)) return "the engine of the plan is gone"
  if (moment === "reporting" && inRunner.includes(target)) return "the engine is gone"
  return undefined
}

const all = targets.flatMap((target) => moments.map((moment) => ({ target, moment, why: impossible(target, moment) })))

export const cells: ReadonlyArray<Cell> = all.flatMap(({ moment, target, why }) =>
  why === undefined ? [{ target, moment, outcomes: outcomesOf(target, moment) }] : []
)
export const impossibleCells: ReadonlyArray<Impossible> = all.flatMap(({ moment, target, why }) =>
  why === undefined ? [] : [{ target, moment, why }]
)
