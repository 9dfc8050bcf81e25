// Keeps what was typed to reach the server and the cluster in each command that a person is told to type next.
// Invariant: a command gets only flags that it has. Those for a namespace are not among them: who names a task names its namespace too.
// Used by agent-job.ts.
import type { Completions } from "effect/cli"
import { shellWord } from "../../core/text/shell-word.ts"

type Described = Completions.CommandDescriptor

const kept = /^--(url|token-file|context)(?:=(.*))?$/su

/** Returns those flags as they were typed, by name. */
const typedIn = (args: ReadonlyArray<string>): ReadonlyMap<string, string> => {
  const end = args.indexOf("--")
  const read = end === -1 ? args : args.slice(0, end)
  return new Map(read.flatMap((arg, index) => {
    const [, name, value = read[index + 1]] = kept.exec(arg) ?? []
    return name === undefined || value === undefined ? [] : [[name, value] as const]
  }))
}

/**
 * Returns a function that writes the flags of `args` into the commands of a text, where they mean the same server or cluster. A namespace
 * may be called agent-job too.
 */
export const keeping = (args: ReadonlyArray<string>, program: Described): (text: string) => string => {
  const typed = typedIn(args)
  const flagsOf = ({ flags }: Described): string =>
    [...typed].filter(([name]) => flags.some((flag) => flag.name === name)).map(([name, value]) => ` --${name} ${shellWord(value)}`).join(
      ""
    )
  const ours = (all: string, first: string, next = ""): string => {
    const command = program.subcommands.find(({ name }) => name === first)
    const inner = command?.subcommands.find(({ name }) => ` ${name}` === next)
    if (command === undefined) return all
    return inner === undefined ? `agent-job ${first}${flagsOf(command)}${next}` : `${all}${flagsOf(inner)}`
  }
  const context = typed.get("context")
  const word = context === undefined ? undefined : shellWord(context)
  return (text) => {
    const said = typed.size === 0 ? text : text.replace(/(?<!-n |namespace )\bagent-job ([a-z]+)( [a-z]+)?/gu, ours)
    return word === undefined ? said : said
      .replace(/\bkubectl (?=(?:-n|apply|delete|get|wait) )/gu, () => `kubectl --context ${word} `)
      .replace(/\bhelm (?=(?:-n|get|list|rollback|upgrade)\b)/gu, () => `helm --kube-context ${word} `)
  }
}
