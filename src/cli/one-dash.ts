// Words that were typed with one dash, `-var` for `--var`: the parser reads a letter in each of theirs, and a v prints the version and runs nothing.
// Invariant: of such words only letters of the command's own pass, such as -fw; what stands behind -- is not looked at.
// Used by agent-job.ts.
import type { Completions } from "effect/cli"
import { nearest } from "../schema/explain.ts"

type Described = Completions.CommandDescriptor

const global = ["help", "version", "completions"]

interface Meant {
  readonly command: Described
  readonly path: ReadonlyArray<string>
}

/** The command that words which are none of a flag name. */
const meantBy = (words: ReadonlyArray<string>, command: Described, path: ReadonlyArray<string> = [command.name]): Meant => {
  const [word, ...rest] = words
  const next = command.subcommands.find(({ name }) => name === word)
  return next === undefined ? { command, path } : meantBy(rest, next, [...path, next.name])
}

/** `-outptu` may be --output, and `-ojson` -o json. */
const guesses = ({ flags }: Described, word: string): ReadonlyArray<string> => {
  const guess = nearest(word, [...flags.map(({ name }) => name), ...global])
  const takesValue = flags.some(({ aliases, type }) => type._tag !== "Boolean" && aliases.includes(word.charAt(0)))
  return [...(guess === undefined ? [] : [`--${guess}`]), ...(takesValue && guess !== word ? [`-${word.charAt(0)} ${word.slice(1)}`] : [])]
}

/** What is wrong with the first word that would be misread, in a sentence. */
export const misread = (args: ReadonlyArray<string>, program: Described): string | undefined => {
  const end = args.indexOf("--")
  const read = end === -1 ? args : args.slice(0, end)
  const { command, path } = meantBy(read.filter((arg) => !arg.startsWith("-")), program)
  const letters = command.flags.flatMap(({ aliases }) => aliases)
  for (const arg of read) {
    const [, word] = /^-([a-z][a-z0-9-]+)(?:=.*)?$/isu.exec(arg) ?? []
    if (word !== undefined && ![...word].every((letter) => letters.includes(letter))) {
      const meant = guesses(command, word)
      return `There is no flag -${word}; ${
        meant.length === 0 ? `${path.join(" ")} --help lists those there are.` : `did you mean ${meant.join(" or ")}?`
      }`
    }
    if (path.length > 1 && /^(?:-v|--(?:no-)?version)(?:=.*)?$/su.test(arg)) {
      return `${arg} is no flag of ${path.join(" ")}; agent-job --version prints the version.`
    }
  }
  return undefined
}
