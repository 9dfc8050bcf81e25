// Finds words typed with one dash, such as `-var` for `--var`: the parser reads each letter as a flag, and -v only prints the version.
// Invariant: such a word passes only if all its letters are flags of the command, as in -fw. Words after -- are not looked at.
// Used by agent-job.ts.
import type { Completions } from "effect/cli"
import { nearest } from "../../schema/document/nearest.ts"

type Described = Completions.CommandDescriptor

const global = ["help", "version", "completions"]

interface Meant {
  readonly command: Described
  readonly path: ReadonlyArray<string>
}

/** Returns the command that is meant by the words that are no flags. */
const meantBy = (words: ReadonlyArray<string>, command: Described, path: ReadonlyArray<string> = [command.name]): Meant => {
  const [word, ...rest] = words
  const next = command.subcommands.find(({ name }) => name === word)
  return next === undefined ? { command, path } : meantBy(rest, next, [...path, next.name])
}

/** Returns the flags that may have been meant: `-outptu` may be --output, and `-ojson` may be -o json. */
const guesses = ({ flags }: Described, word: string): ReadonlyArray<string> => {
  const guess = nearest(word, [...flags.map(({ name }) => name), ...global])
  const takesValue = flags.some(({ aliases, type }) => type._tag !== "Boolean" && aliases.includes(word.charAt(0)))
  return [...(guess === undefined ? [] : [`--${guess}`]), ...(takesValue && guess !== word ? [`-${word.charAt(0)} ${word.slice(1)}`] : [])]
}

/** Returns a sentence about the first word that the parser would misread, or undefined. */
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
      return `${arg.replace(/=.*$/su, "")} is no flag of ${path.join(" ")}; agent-job --version prints the version.`
    }
  }
  return undefined
}
