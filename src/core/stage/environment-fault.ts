// Why no stage can have an environment variable: its shell or the kernel would not pass it on.
// Invariant: the reason has no value in it, since values may be secret.
// Used by worker/engine/command-script and worker/engine/engine, and where variables are set: cli/commands/vars and server/tfe/tfe-workspace-routes.

// Names of variables that bash or dash refuses, or sets itself.
const shellName =
  /^(?:_|BASH.*|DIRSTACK|EPOCHREALTIME|EPOCHSECONDS|EUID|FUNCNAME|GROUPS|HISTCMD|LINENO|OPTIND|PPID|RANDOM|SECONDS|SHELLOPTS|SHLVL|SRANDOM|UID)$/u
const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/u

/** The most bytes of `name=value`, with the NUL after it: MAX_ARG_STRLEN of Linux, above which no program starts. */
const mostBytes = 131_072

/** Returns a sentence without its full stop, or undefined if a stage can have the variable. */
export const environmentFault = (name: string, value: string): string | undefined => {
  if (!identifier.test(name)) {
    return `The environment variable ${JSON.stringify(name)} cannot be set; use only letters, digits and underscores in its name`
  }
  if (shellName.test(name)) return `The environment variable ${name} belongs to the runner's shell; choose another name`
  if (value.includes("\0")) return `The environment variable ${name} has a NUL byte in its value; remove it`
  return new TextEncoder().encode(`${name}=${value}`).length >= mostBytes
    ? `The environment variable ${name} has ${
      mostBytes / 1024
    } KiB or more with its name, so that no program could start with it; make its value smaller`
    : undefined
}

const namesOf = (environ: string) => environ.split("\0").map((entry) => entry.slice(0, Math.max(0, entry.indexOf("="))))

/**
 * Returns a sentence without its full stop if a variable for the engine that the runner's container was given (`given`) is not in the environment
 * of its commands (`environ`), both as the kernel tells them: many shells pass on no name that they could not use themselves.
 */
export const droppedFault = (environ: string, given: string): string | undefined => {
  const kept = new Set(namesOf(environ))
  const name = namesOf(given).find((name) => name.startsWith("TF_") && !identifier.test(name) && !kept.has(name))
  if (name === undefined) return undefined
  const instead = /^TF_VAR_[-\w]+$/u.test(name) // as an input variable may be called here
    ? "give the value as an input variable"
    : "use only letters, digits and underscores in its name (of a host, _ for each dot and __ for each hyphen)"
  return `The environment variable ${
    JSON.stringify(name)
  } of the runner does not reach the engine, since the shell of its image drops it; ${instead}, or use an image whose /bin/sh is bash`
}
