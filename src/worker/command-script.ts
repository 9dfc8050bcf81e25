// The sh script by which one command replaces the shell that reads it: directory, environment, arguments, every value quoted.
// Always holds: no value is ever read as shell text, and no secret becomes an argument of a process.
// Used by worker/exec-loop.ts.
import { Result } from "effect"

export interface Command {
  /** The program (a path, or a name looked up in PATH) and its arguments. */
  readonly argv: readonly [program: string, ...args: ReadonlyArray<string>]
  /** Added to the environment of the runner's container, which gives PATH. */
  readonly env: Readonly<Record<string, string>>
  /** Absolute path of the directory to run in. */
  readonly cwd: string
}

// Names that a POSIX shell gives a meaning of its own: it refuses them, or changes what it passes on.
const shellNames = new Set(["BASHOPTS", "BASH_VERSINFO", "EUID", "LINENO", "OPTIND", "PPID", "SHELLOPTS", "UID"])

const quote = (value: string) => `'${value.replaceAll("'", `'\\''`)}'`
const exportable = (name: string) => /^[A-Za-z_][A-Za-z0-9_]*$/u.test(name) && !shellNames.has(name)

/**
 * The script that announces command `id` on descriptor 4 and becomes it.
 * Fails with a sentence for what no shell can pass on: a NUL byte, a variable's name, a relative directory.
 */
export const commandScript = (id: string, { argv, cwd, env }: Command): Result.Result<string, string> => {
  const nameRefused = Object.keys(env).find((name) => !exportable(name))
  if (nameRefused !== undefined) {
    return Result.fail(`the environment variable ${JSON.stringify(nameRefused)} cannot be set by a shell; use letters, digits and underscores, and none of the shell's own names`)
  }
  const nul = Object.entries(env).find(([, value]) => value.includes("\0"))
  if (nul !== undefined) return Result.fail(`the value of the environment variable ${nul[0]} contains a NUL byte; remove it`)
  if (argv.some((argument) => argument.includes("\0"))) return Result.fail(`an argument of ${JSON.stringify(argv[0])} contains a NUL byte; remove it`)
  if (!cwd.startsWith("/") || cwd.includes("\0")) return Result.fail(`the directory ${JSON.stringify(cwd)} is not an absolute path; give one`)
  return Result.succeed([
    `cd ${quote(cwd)} || exit 126`,
    ...Object.entries(env).map(([name, value]) => `export ${name}=${quote(value)}`),
    `echo ${quote(`started ${id}`)} >&4`,
    `exec ${argv.map(quote).join(" ")} 4>&-`,
    ""
  ].join("\n"))
}
