// Prints help on stdout, with commands before flags, and mistakes in what was typed on stderr, one sentence each.
// Used by main.
import { Console, Effect, Option } from "effect"
import { type CliError, CliOutput, GlobalFlag, type HelpDoc, TerminalCapabilities } from "effect/cli"
import { columns } from "./table.ts"

/** The built-in flags that are kept. --wizard and --log-level are not: nothing here needs a wizard, and services read LOG_LEVEL. */
export const builtIns = [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions]

const suggestion = (words: ReadonlyArray<string>) =>
  words.length === 0 ? "" : `; did you mean ${words.map((word) => JSON.stringify(word)).join(" or ")}?`

/** Returns what a value must be, taken from the message of its schema, or from the choices that there are (`"a" | "b"`). */
const allowed = (expected: string) =>
  expected.replace("Schema validation failed: ", "").replace(/^(?:Expected |(?="))/u, "it must be ").replace(/\s*\nExpected /gu, ", and ")
    .replace(/ \| (?=[^|]*$)/u, " or ").replaceAll(" | ", ", ")

const invalid = ({ expected, kind, option, value }: CliError.InvalidValue): string => {
  const called = kind === "flag" ? `--${option}` : option
  if (value === "") return `${called} needs a value (${allowed(expected)})`
  if (value.endsWith(" occurrences")) return `${called} is given more than once; give it once`
  return `${called} cannot be ${JSON.stringify(value)}: ${allowed(expected)}`
}

/** Returns a word as it was typed, but for what follows a "=", which may be a secret. */
const quoted = (word: string): string => JSON.stringify(word.replace(/=.*$/su, "=…"))

const isValuesFile = (word: string) => /\.ya?ml$/u.test(word)

/**
 * Returns the sentence about surplus arguments. If they look like values files and the command has --values, it suggests -f. If the command
 * reads a value, it repeats none of them.
 */
const tooMany = (words: ReadonlyArray<string>, flags: HelpDoc.HelpDoc["flags"]): string => {
  const has = (flag: string) => flags.some(({ name }) => name === flag)
  const advice = has("from-file")
    ? "a value comes from standard input or --from-file"
    : "a value with blanks needs quotes, as in --var 'name=a b'"
  if (has("from-file") || has("var")) {
    return `${words.length === 1 ? "One argument is" : `${words.length} arguments are`} too many; ${advice}`
  }
  const files = has("values") && words.every(isValuesFile) ? words : []
  return [
    `${words.map(quoted).join(" and ")} ${words.length === 1 ? "is one argument" : `are ${words.length} arguments`} too many`,
    ...(files.length === 0 ? [] : [`did you mean ${files.map((file) => `-f ${file}`).join(" ")}?`])
  ].join("; ")
}

/** The engines' own commands, which are parts of a run here. */
const ofEngine: ReadonlyArray<string> = ["init", "plan", "apply", "destroy"]

/** Returns a usage error as one sentence. */
const mistake = (error: CliError.NonShowHelpErrors, flags: HelpDoc.HelpDoc["flags"]): string => {
  switch (error._tag) {
    case "UnknownSubcommand":
      return `There is no command ${quoted(error.subcommand)}${
        ofEngine.includes(error.subcommand)
          ? `; agent-job run DIR${error.subcommand === "destroy" ? " --destroy" : ""} plans, asks and applies`
          : suggestion(error.suggestions)
      }`
    case "UnrecognizedOption":
      return `There is no flag ${error.option}${suggestion(error.suggestions)}`
    case "MissingArgument":
      return `${error.argument} is missing`
    case "MissingOption":
      return `--${error.option} is missing`
    case "UnexpectedArgument":
      return tooMany(error.arguments, flags)
    case "InvalidValue":
      return invalid(error)
    default:
      return error.message
  }
}

/** Drops the choices from the description of a flag, because the name of its value lists them already. */
const withoutChoices = (description: string) => description.replace(/ ?\(choices: [^)]*\)$/u, "")

/** Formats help. The flags that are no command's own come last, and only in the help of the program as a whole. */
const formatted = ({ globalFlags = [], ...doc }: HelpDoc.HelpDoc, colors: boolean): string => {
  const { formatHelpDoc } = CliOutput.defaultFormatter({ colors })
  const own = formatHelpDoc({
    ...doc,
    args: (doc.args ?? []).map((argument) => ({ ...argument, type: "" })),
    flags: doc.flags.map((flag) => ({ ...flag, description: Option.map(flag.description, withoutChoices) }))
  })
  const isRoot = doc.commandPath === undefined || doc.commandPath.length < 2
  if (!isRoot || globalFlags.length === 0) return own
  const rows = globalFlags.map(({ aliases, description, name, type }) => [
    `  ${[`--${name}`, ...aliases].join(", ")}${type === "boolean" ? "" : ` ${type.replace(/[<>]/gu, "")}`}`,
    withoutChoices(Option.getOrElse(description, () => ""))
  ])
  const heading = "OTHER FLAGS"
  return [own, "", colors ? `\u001b[1m${heading}\u001b[0m` : heading, ...columns(rows, "    ")].join("\n")
}

const seeHelp = (path: ReadonlyArray<string>) => `See: ${path.join(" ")} --help`

export const presenter: CliOutput.Presenter = {
  present: Effect.fnUntraced(function*(event) {
    switch (event._tag) {
      case "Help":
        return yield* Console.log(formatted(event.helpDoc, (yield* TerminalCapabilities.TerminalCapabilities).canColor))
      case "InvalidInvocation": {
        yield* Effect.forEach(event.errors, (error) => Console.error(`error: ${mistake(error, event.helpDoc.flags)}`))
        return yield* Console.error(seeHelp(event.commandPath))
      }
      case "Version":
        return yield* Console.log(`${event.name} ${event.version}`)
    }
  })
}
