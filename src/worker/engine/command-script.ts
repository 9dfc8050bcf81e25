// The sh script of one command: it sets the directory and the environment, and replaces its shell by the program; every value is quoted.
// Invariant: no value is ever read as shell text, and no secret becomes an argument of a process.
// Used by worker/engine/exec-loop.ts.
import { Result } from "effect"
import { environmentFault } from "../../core/stage/environment-fault.ts"
import { eventsDescriptor } from "../../core/stage/stage-commands.ts"

export interface Command {
  /** The program (a path, or a name looked up in PATH) and its arguments. */
  readonly argv: readonly [program: string, ...args: ReadonlyArray<string>]
  /** Added to the environment of the runner's container, which gives PATH. */
  readonly env: Readonly<Record<string, string>>
  /** Absolute path of the directory to run in. */
  readonly cwd: string
  /** Whether the command has a pipe to the worker for its events, in addition to its output. */
  readonly events?: boolean | undefined
}

const quote = (value: string) => `'${value.replaceAll("'", `'\\''`)}'`
const hasNul = (value: string) => value.includes("\0")

/** Returns a sentence, without values of variables, that says why no shell can pass the command on unchanged; undefined if one can. */
const refusal = ({ argv: [program, ...args], cwd, env }: Command) => {
  for (const [name, value] of Object.entries(env)) {
    const fault = environmentFault(name, value)
    if (fault !== undefined) return fault
  }
  if (program === "" || program.startsWith("-") || hasNul(program)) {
    return `${JSON.stringify(program)} is not the name of a program; give a path or a name in PATH`
  }
  if (args.some(hasNul)) return `An argument of ${program} has a NUL byte in it; remove it`
  if (!cwd.startsWith("/") || hasNul(cwd)) return `${JSON.stringify(cwd)} is not an absolute path; give one to run ${program} in`
  return undefined
}

/**
 * Returns the script that announces command `id` on descriptor 4 and becomes its program; it exits with 126 if it cannot enter the
 * directory.
 * Fails with a sentence that says what to change.
 */
export const commandScript = (id: string, command: Command): Result.Result<string, string> => {
  const refused = refusal(command)
  if (refused !== undefined) return Result.fail(refused)
  return Result.succeed([
    ...(command.events === true ? [`exec ${eventsDescriptor}>events`] : []),
    `cd ${quote(command.cwd)} || exit 126`,
    ...Object.entries(command.env).map(([name, value]) => `export ${name}=${quote(value)}`),
    `echo ${quote(`started ${id}`)} >&4`,
    `exec ${command.argv.map(quote).join(" ")} 4>&-${command.events === true ? ` ${eventsDescriptor}>&${eventsDescriptor}` : ""}`,
    ""
  ].join("\n"))
}
