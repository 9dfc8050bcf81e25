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

type Environment = Readonly<Record<string, string>>

/** Arguments with which OpenTofu prints nothing of what it makes (`-concise`, since 1.10), or errors without their addresses. */
const muting = /^--?(?:concise|consolidate-errors)(?:=[1tT]\w*)?$/u
const ofApply = ["TF_CLI_ARGS", "TF_CLI_ARGS_apply"]

/** Returns the sentence for the first word that `is` in one of these variables. */
const found = (
  env: Environment,
  names: ReadonlyArray<string>,
  is: (word: string) => boolean,
  does: string
): Option.Option<string> => {
  const all = names.flatMap((name) =>
    wordsOf(env[name] ?? "").filter(is).map((one) => `${name} has ${one}, with which ${does}; take that out.`)
  )
  return Option.fromUndefinedOr(all[0])
}

/**
 * Returns why nothing is run with this environment: no command of the engine would do its work, and each would end with success. None if
 * the environment is fine.
 */
export const idleArguments = (env: Environment): Option.Option<string> =>
  found(
    env,
    Object.keys(env).filter((name) => variable.test(name)),
    (one) => idling.has(one),
    "the engine only tells of itself and ends with success"
  )

/** Returns the words that say whether `apply` prints JSON. */
const jsonIn = (env: Environment) => ofApply.flatMap((name) => wordsOf(env[name] ?? "").filter((one) => /^--?json(?:=|$)/u.test(one)))

/** Reports whether `apply` may print JSON with this environment, beside which the engine writes no events on a pipe: what it prints has them. */
export const printsJson = (env: Environment): boolean => jsonIn(env).length > 0

/** Returns why an OpenTofu runs nothing with this environment that tells what it makes by what it prints alone; JSON tells all the same. */
export const mutingArguments = (env: Environment): Option.Option<string> =>
  printsJson(env) && !jsonIn(env).some((one) => /=[0fF]/u.test(one))
    ? Option.none()
    : found(env, ofApply, (one) => muting.test(one), "this OpenTofu may not tell what it makes")
