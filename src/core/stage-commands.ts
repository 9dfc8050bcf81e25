// Which commands of the engine make up a stage, in order; the same for OpenTofu and Terraform.
// Always holds: what a user wrote is an argument of its own after `=`, so that it can never be read as a flag.
// Used by worker/stage.ts.
import type { PlanOptions, Stage } from "../schema/agent-task.ts"

/** The saved plan, in the working directory; also its name inside the archive that the pool keeps. */
export const savedPlanName = "plan.tfplan"
export const lockFileName = ".terraform.lock.hcl"

export interface StageCommand {
  readonly subcommand: "version" | "init" | "workspace" | "plan" | "show" | "apply"
  /** All arguments after the engine's name. */
  readonly args: ReadonlyArray<string>
  /** Printed: the output is the log. Captured: it is for us, and is not logged. */
  readonly output: "printed" | "captured"
  /** It may change resources or the state. */
  readonly mutates: boolean
  /** Where it tells what it makes, changes and destroys: as events on a pipe beside its output, or in the log alone. */
  readonly tells?: "events" | "log"
}

export interface StageSpec {
  readonly stage: Stage
  /** Who keeps the state: the pool's server, or the backend of the configuration. */
  readonly keeper: "server" | "backend"
  readonly options?: PlanOptions | undefined
  /** A saved plan is in the working directory and nothing else may be applied. */
  readonly savedPlan: boolean
  /** The engine can tell its events beside what it prints; see `tellsEvents`. */
  readonly events?: boolean
}

/** The descriptor that a command writes its events to, and the path by which it opens it. */
export const eventsDescriptor = 7
const eventsPath = `/dev/fd/${eventsDescriptor}`

const printed = (subcommand: StageCommand["subcommand"], args: ReadonlyArray<string>): StageCommand => ({
  subcommand,
  args: [subcommand, ...args],
  output: "printed",
  mutates: false
})

/** With a saved plan the providers are those of its lock file, which stays as it was sealed. */
const init = (savedPlan: boolean) => printed("init", ["-input=false", ...(savedPlan ? ["-lockfile=readonly"] : [])])
const show: StageCommand = { subcommand: "show", args: ["show", "-json", savedPlanName], output: "captured", mutates: false }

/** Says in which workspace of its backend the engine is. */
export const showWorkspace: StageCommand = { subcommand: "workspace", args: ["workspace", "show"], output: "captured", mutates: false }

/**
 * What no word of TF_CLI_ARGS may say otherwise, since these come after it: that a state is where its backend says (only the backend local
 * has another place by argument, which goes with the Pod), and that the server hears of an apply by its lock before anything is made.
 */
const stateFlags = {
  plan: { backend: ["-state="], server: [] },
  apply: { backend: ["-state=", "-state-out="], server: ["-lock=true"] }
} as const

const planFlags = (options: PlanOptions = {}): ReadonlyArray<string> => [
  ...(options.destroy === true ? ["-destroy"] : []),
  ...(options.refresh === false ? ["-refresh=false"] : []),
  ...(options.refreshOnly === true ? ["-refresh-only"] : []),
  ...(options.targets ?? []).map((target) => `-target=${target}`),
  ...(options.replace ?? []).map((address) => `-replace=${address}`)
]

/** A plan writes no state, so it takes no lock. */
const plan = ({ keeper, options }: StageSpec) =>
  printed("plan", ["-input=false", "-lock=false", ...stateFlags.plan[keeper], `-out=${savedPlanName}`, ...planFlags(options)])

const apply = ({ events = false, keeper, options, savedPlan, stage }: StageSpec): StageCommand => {
  const what = savedPlan ? [savedPlanName] : ["-auto-approve", ...planFlags(stage === "destroy" ? { ...options, destroy: true } : options)]
  return {
    ...printed("apply", ["-input=false", ...stateFlags.apply[keeper], ...(events ? [`-json-into=${eventsPath}`] : []), ...what]),
    mutates: true,
    tells: events ? "events" : "log"
  }
}

/** Whether the engine can tell its events beside what it prints: OpenTofu since 1.12. */
export const tellsEvents = (engine: string, version: string): boolean => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return engine === "tofu" && (major > 1 || (major === 1 && minor >= 12))
}

/** At least one command; the last one decides what the stage came to. */
export const stageCommands = (spec: StageSpec): ReadonlyArray<StageCommand> =>
  spec.stage === "plan" ? [init(false), plan(spec), show] : [init(spec.savedPlan), apply(spec)]
