// What the environment adds to the engine's arguments (TF_CLI_ARGS and TF_CLI_ARGS_…), as far as that turns a command into another one.
// Always holds: a word is found however it is quoted, as the engines' own shellwords read it; the text of a value is none.
// Used by worker/stage.ts.
import { Option } from "effect"

/** With one of these, wherever it stands, the engine tells of itself and ends with success. */
const idling: ReadonlySet<string> = new Set(["-h", "-help", "--help", "-v", "-version", "--version"])

const variable = /^TF_CLI_ARGS(?:_|$)/u
/** An operator of a shell ends a word; what comes after one, the engines do not even read. */
const word = /(?:[^\s"'\\;&|<>]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/gsu
const quoting = /\\(.)|["']/gsu

const wordsOf = (text: string): ReadonlyArray<string> => (text.match(word) ?? []).map((one) => one.replace(quoting, "$1"))

/** Why nothing is run with this environment: no command of the engine would do its work, and each would end with success. */
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
