// Which files of a directory stay out of the archive: by .terraformignore, whose patterns are those of .gitignore, and by two fixed rules.
// Pure: paths are relative to the root, with "/" between their parts.
// Used by archive.ts.
import { Result } from "effect"

export interface IgnoreRules {
  readonly excludes: (path: string, isDirectory: boolean) => boolean
  /** Reports whether the directory is excluded and no rule can include anything under it again, so that it need not be read. */
  readonly prunes: (directory: string) => boolean
}

/** A rule with a range that goes backwards, such as "[z-a]", and the number of its line. */
export interface UnusableRule {
  readonly line: number
  readonly rule: string
}

interface Rule {
  readonly pattern: RegExp
  readonly negated: boolean
  readonly directoriesOnly: boolean
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\/]/gu, "\\$&")

/** "**" crosses directories, "*" and "?" do not, "[a-z]" and "[!a-z]" are one character. */
const expression = (glob: string): string =>
  (glob.match(/\*\*\/|\/\*\*$|\*+|\?|\[!?\]?[^\]]*\]|\\.|./gu) ?? []).map((part) =>
    part === "**/"
      ? "(?:.*/)?"
      : part === "/**"
      ? "/.*"
      : part.startsWith("*")
      ? "[^/]*"
      : part === "?"
      ? "[^/]"
      : part.startsWith("[") && part.length > 2
      ? `[${part.slice(1, -1).replace(/^!/u, "^").replace(/[\\[\]]/gu, "\\$&")}]`
      : escaped(part.startsWith("\\") && part.length > 1 ? part.slice(1) : part)
  ).join("")

const rule = (line: string): Rule => {
  const negated = line.startsWith("!")
  const body = (negated ? line.slice(1) : line).replace(/^\\(?=[!#])/u, "")
  const directoriesOnly = body.endsWith("/")
  const glob = body.replace(/\/+$/u, "")
  const anchored = glob.includes("/")
  return { negated, directoriesOnly, pattern: new RegExp(`^${anchored ? "" : "(?:.*/)?"}${expression(glob.replace(/^\//u, ""))}$`, "u") }
}

/** Reports whether a path is in `.git` or `.terraform`, at any depth. The modules downloaded to `.terraform/modules` are kept. */
const alwaysOut = (path: string): boolean => {
  const parts = path.split("/")
  if (parts.includes(".git")) return true
  const at = parts.indexOf(".terraform")
  return at >= 0 && parts.length > at + 1 && parts[at + 1] !== "modules"
}

const withParents = (path: string): ReadonlyArray<string> => path.split("/").map((_, index, parts) => parts.slice(0, index + 1).join("/"))

const isRule = (line: string): boolean => line !== "" && line !== "!" && !line.startsWith("#")

const rulesOf = (text: string) =>
  Result.all(
    text.split(/\r?\n/u).map((given, index) => ({ line: index + 1, rule: given.trim() })).filter(({ rule }) => isRule(rule)).map((given) =>
      Result.try({ try: () => rule(given.rule), catch: (): UnusableRule => given })
    )
  )

const decidedBy = (rules: ReadonlyArray<Rule>): IgnoreRules => {
  const wantsAgain = rules.some(({ negated }) => negated)
  const excludes = (path: string, isDirectory: boolean): boolean => {
    if (alwaysOut(path)) return true
    const parents = withParents(path)
    return rules.findLast(({ directoriesOnly, pattern }) =>
      parents.some((parent) => pattern.test(parent) && (!directoriesOnly || isDirectory || parent !== path))
    )?.negated === false
  }
  return { excludes, prunes: (directory) => alwaysOut(directory) || (!wantsAgain && excludes(directory, true)) }
}

/**
 * Returns the rules in `text`, the content of .terraformignore, empty if there is none. The last rule that matches a path or a directory
 * above it decides.
 */
export const ignoreRules = (text: string): Result.Result<IgnoreRules, UnusableRule> => Result.map(rulesOf(text), decidedBy)
