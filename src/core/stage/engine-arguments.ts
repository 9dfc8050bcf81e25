// Finds arguments in the environment (TF_CLI_ARGS and TF_CLI_ARGS_…) that turn a command of the engine into another one, or change its output.
// Invariant: a word is found however it is quoted, as the engines' own shellwords parser reads it; text inside a value does not count.
// Used by worker/stage/preparation.ts.
import { Option } from "effect"

/** Arguments with which, in any place, the engine only prints its help or version and ends with success. */
const idling: ReadonlySet<string> = new Set(["-h", "-help", "--help", "-v", "-version", "--version"])

const variable = /^TF_CLI_ARGS(?:_|$)/u
/** A word of the arguments. A shell operator ends a word, and the engines do not even read what comes after one. */
const word = /(?:[^\s"'\\;&|<>]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/gsu
const quoting = /\\(.)|["']/gsu

const wordsOf = (text: string): ReadonlyArray<string> => (text.match(word) ?? []).map((one) => one.replace(quoting, "$1"))

/**
 * Returns why nothing is run with this environment: no command of the engine would do its work, and each would end with success. None if
 * the environment is fine.
 */
export const idleArguments = (env: Readonly<Record<string, string>>): Option.Option<string> => {
  const found =
    Object.entries(env).flatMap(([name, value]) =>
      variable.test(name) ? wordsOf(value).filter((one) => idling.has(one)).map((one) => ({ name, one })) : []
    )[0]
  return Option.map(
    Option.fromUndefinedOr(found),
    ({ name, one }) => `${name} has ${one}, with which the engine only tells of itself and ends with success; take that out.`
  )
}

/** Reports whether `apply` prints JSON with this environment, beside which the engine writes no events on a pipe: what it prints has them. */
export const printsJson = (env: Readonly<Record<string, string>>): boolean =>
  ["TF_CLI_ARGS", "TF_CLI_ARGS_apply"].some((name) => wordsOf(env[name] ?? "").some((one) => /^--?json(?:=|$)/u.test(one)))
