// Two files that a stage adds to a configuration: the values of its variables, and the backend that replaces its own.
// Invariant: a plain value is a quoted string in which nothing is evaluated; only a value marked `hcl` is an expression.
// Used by worker/stage/provision.ts, and by what else knows these files.
import { Order } from "effect"
import { quoted } from "../text/hcl.ts"

/** The name and the value of an input variable. `hcl` says that the value is an expression. */
export interface InputValue {
  readonly name: string
  readonly value: string
  readonly hcl: boolean
}

/** The variables file is called so, or ends so. */
export const variablesFileName = "zzz_agent_job.auto.tfvars"
/** Merged after every other override file, so that it wins. */
export const backendFileName = "zzzz_agent_job_override.tf"

/** Returns the content of the variables file. If a name has two values, the later one counts. */
export const variablesFile = (values: ReadonlyArray<InputValue>): string =>
  [...new Map(values.map((value) => [value.name, value])).values()]
    .map(({ hcl, name, value }) => `${name} = ${hcl ? value : quoted(value)}\n`)
    .join("")

const later = Order.max(Order.mapInput(Order.Array(Order.Number), (name: string) => [...new TextEncoder().encode(name)]))

/**
 * Returns the name of the variables file in a directory that has these names: the engine loads all `*.auto.tfvars` and `*.auto.tfvars.json`
 * in the order of the bytes of their names, and ours is the last one, so that it wins.
 */
export const variablesFileAfter = (names: ReadonlyArray<string>): string => {
  const loaded = names.filter((name) => /\.auto\.tfvars(?:\.json)?$/u.test(name))
  const last = loaded.reduce((one, other) => later(one, other), variablesFileName)
  return last === variablesFileName ? last : `${last}.${variablesFileName}`
}

/** Returns the content of the override file. A backend of type `http` without a configuration takes all of it from the environment. */
export const backendFile = (type: string, config: Readonly<Record<string, string>> = {}): string =>
  [
    "terraform {",
    `  backend ${quoted(type)} {`,
    ...Object.entries(config).map(([name, value]) => `    ${name} = ${quoted(value)}`),
    "  }",
    "}",
    ""
  ].join("\n")
