// Which commands of the engine make up a stage, in order; the same for OpenTofu and Terraform.
// Invariant: what a user wrote stands after `=` in an argument, so that it can never be read as a flag.
// Used by worker/stage/stage.ts, worker/stage/preparation.ts and worker/engine/engine.ts; other parts take names of files from here.
import { Array } from "effect"
import type { PlanOptions, Stage } from "../../schema/task/agent-task.ts"

/** The name of the saved plan's file, in the engine's own directory and inside the archive that the pool keeps. */
export const savedPlanName = "plan.tfplan"
export const lockFileName = ".terraform.lock.hcl"

export interface StageCommand {
  readonly subcommand: "version" | "init" | "workspace" | "plan" | "show" | "apply"
  /** All arguments after the engine's name. */
  readonly args: ReadonlyArray<string>
  /** Whether the output is the log, or is for the worker alone and not logged. */
  readonly output: "printed" | "captured"
  /** Whether the command may change resources or the state. */
  readonly mutates: boolean
  /**
   * Where the command tells what it makes, changes and destroys: as events on a pipe beside its output, or in the log alone. Absent if it
   * changes nothing.
   */
  readonly tells?: "events" | "log"
}

export interface StageSpec {
  readonly stage: Stage
  /** Who keeps the state: the pool's server, or the backend of the configuration. */
  readonly keeper: "server" | "backend"
  readonly options?: PlanOptions | undefined
  /** The absolute path of the saved plan: not in the configuration, which is to be the same at the apply for what reads its own directory. */
  readonly planFile: string
  /** Whether there is a saved plan, so that nothing else may be applied. */
  readonly savedPlan: boolean
  /** Whether `init` has to be allowed to write the lock file of a saved plan; see `needsWritableLock`. */
  readonly writableLock?: boolean
  /** Whether the engine can write events beside what it prints; see `tellsEvents`. */
  readonly events?: boolean
}

/** The file descriptor to which a command writes its events, and the path by which it opens that. */
export const eventsDescriptor = 7
const eventsPath = `/dev/fd/${eventsDescriptor}`

const command =
  (output: StageCommand["output"]) => (subcommand: StageCommand["subcommand"], ...args: ReadonlyArray<string>): StageCommand => ({
    subcommand,
    args: [subcommand, ...args],
    output,
    mutates: false
  })
const printed = command("printed")
const captured = command("captured")

/**
 * Returns the `init` command. The providers of a saved plan are those of its lock file, and its modules those that came with it. The engine
 * refuses a lock file that stays as it was sealed beside `-upgrade`, which TF_CLI_ARGS may have.
 */
const init = ({ savedPlan, stage, writableLock = false }: StageSpec) =>
  printed(
    "init",
    "-input=false",
    ...(stage !== "plan" && savedPlan ? [...(writableLock ? [] : ["-lockfile=readonly"]), "-upgrade=false", "-get=false"] : [])
  )
const show = ({ planFile }: StageSpec) => captured("show", "-json", planFile)

/** Prints which workspace of its backend the engine is in. */
export const showWorkspace = captured("workspace", "show")

/** Prints the engine's version. */
export const showVersion = captured("version", "-json")

/**
 * Returns the variables that take additional arguments from a captured command, which may refuse those that are meant for what a person
 * sees. `show` keeps its own, because an encrypted plan may need the variables that they give.
 */
export const withoutArguments = ({ args, subcommand }: StageCommand): Readonly<Record<string, string>> => ({
  TF_CLI_ARGS: "",
  ...(subcommand !== "show" && { [`TF_CLI_ARGS_${Array.takeWhile(args, (arg) => !arg.startsWith("-")).join("_")}`]: "" })
})

/**
 * Flags that override TF_CLI_ARGS, since they come after it. They leave the state where its backend says (only the backend local takes
 * another place by argument, which goes with the Pod), and make an apply take its lock, by which the server hears of it before anything is
 * made.
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

/** A plan writes no state, so it takes no lock; with any changes it ends with 0, whatever TF_CLI_ARGS says. */
const plan = ({ keeper, options, planFile }: StageSpec) =>
  printed(
    "plan",
    "-input=false",
    "-lock=false",
    "-detailed-exitcode=false",
    ...stateFlags.plan[keeper],
    `-out=${planFile}`,
    ...planFlags(options)
  )

const apply = ({ events = false, keeper, options, planFile, savedPlan, stage }: StageSpec): StageCommand => {
  const what = savedPlan ? [planFile] : ["-auto-approve", ...planFlags(stage === "destroy" ? { ...options, destroy: true } : options)]
  return {
    ...printed("apply", "-input=false", ...stateFlags.apply[keeper], ...(events ? [`-json-into=${eventsPath}`] : []), ...what),
    mutates: true,
    tells: events ? "events" : "log"
  }
}

/**
 * Reports whether the engine refuses this lock file where it may not write it, though it would leave it as it is: OpenTofu since 1.10 takes
 * what Terraform's registry has of HashiCorp for its own, also where the configuration asks for that of Terraform's.
 */
export const needsWritableLock = (engine: string, lockFile: string): boolean =>
  engine === "tofu" && /^provider "registry\.terraform\.io\/hashicorp\//mu.test(lockFile)

const isTofuSince = (since: number) => (engine: string, version: string): boolean => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return engine === "tofu" && (major > 1 || (major === 1 && minor >= since))
}
/** Reports whether the engine can write events beside what it prints: OpenTofu since 1.12. */
export const tellsEvents = isTofuSince(12)
/** Reports whether the engine reads files that end in .tofu: OpenTofu since 1.8. */
export const readsTofuFiles = isTofuSince(8)

/** Returns the commands of a stage, in order. There is at least one, and the last one decides what the stage came to. */
export const stageCommands = (spec: StageSpec): ReadonlyArray<StageCommand> =>
  spec.stage === "plan" ? [init(spec), plan(spec), show(spec)] : [init(spec), apply(spec)]
