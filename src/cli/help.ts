// How help and mistakes in what was typed are shown: help on stdout with its commands before its flags, a mistake as one sentence on stderr.
// Used by main.
import { Console, Effect, Option } from "effect"
import { CliOutput, GlobalFlag, type CliError, type HelpDoc, TerminalCapabilities } from "effect/cli"

/** --wizard and --log-level stay out: nothing here needs a wizard, and services read LOG_LEVEL. */
export const builtIns = [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions]

const suggestion = (words: ReadonlyArray<string>) => words.length === 0 ? "" : `; did you mean ${words.map((word) => JSON.stringify(word)).join(" or ")}?`

/** A mistake in one sentence. */
const mistake = (error: CliError.NonShowHelpErrors): string => {
  switch (error._tag) {
    case "UnknownSubcommand": return `There is no command ${JSON.stringify(error.subcommand)}${suggestion(error.suggestions)}`
    case "UnrecognizedOption": return `There is no flag ${error.option}${suggestion(error.suggestions)}`
    case "MissingArgument": return `${error.argument} is missing`
    case "MissingOption": return `--${error.option} is missing`
    case "UnexpectedArgument": return `${error.arguments.map((argument) => JSON.stringify(argument)).join(", ")} is one argument too many`
    case "InvalidValue": return error.value === ""
      ? `--${error.option} needs a value (${error.expected})`
      : `${error.kind === "flag" ? `--${error.option}` : error.option} cannot be ${JSON.stringify(error.value)}: ${error.expected}`
    default: return error.message
  }
}

/** Flags that every command has come last, and only in the help of the program as a whole. */
const formatted = (doc: HelpDoc.HelpDoc, colors: boolean): string => {
  const { formatHelpDoc } = CliOutput.defaultFormatter({ colors })
  const { globalFlags, ...own } = doc
  const isRoot = doc.commandPath === undefined || doc.commandPath.length < 2
  const [bold, end] = colors ? ["\u001b[1m", "\u001b[0m"] : ["", ""]
  const flags = (globalFlags ?? []).map(({ aliases, description, name }) => [`  ${[`--${name}`, ...aliases].join(", ")}`, Option.getOrElse(description, () => "")] as const)
  const width = Math.max(0, ...flags.map(([names]) => names.length)) + 4
  return isRoot && flags.length > 0
    ? `${formatHelpDoc(own)}\n\n${bold}FLAGS OF EVERY COMMAND${end}\n${flags.map(([names, what]) => `${names.padEnd(width)}${what.replace(/ \(choices:.*\)$/u, "")}`).join("\n")}`
    : formatHelpDoc(own)
}

const seeHelp = (path: ReadonlyArray<string>) => `See: ${path.join(" ")} --help`

export const presenter: CliOutput.Presenter = {
  present: Effect.fnUntraced(function*(event) {
    switch (event._tag) {
      case "Help": return yield* Console.log(formatted(event.helpDoc, (yield* TerminalCapabilities.TerminalCapabilities).canColor))
      case "InvalidInvocation": {
        yield* Effect.forEach(event.errors, (error) => Console.error(`error: ${mistake(error)}`))
        return yield* Console.error(seeHelp(event.commandPath))
      }
      case "Version": return yield* Console.log(`${event.name} ${event.version}`)
    }
  })
}
