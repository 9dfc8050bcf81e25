// Which files of a directory stay out of the archive: by .terraformignore, whose patterns are mostly those of .gitignore, and by two fixed rules.
// Pure: paths are relative to the root, with "/" between their parts.
// Used by archive.ts.
import { Result } from "effect"

export interface IgnoreRules {
  readonly excludes: (path: string, isDirectory: boolean) => boolean
  /** Reports whether the directory is excluded and no rule can include anything under it again, so that it need not be read. */
  readonly prunes: (directory: string) => boolean
}

/** A rule with a range that goes backwards, such as "[z-a]", or a class, such as "[[:digit:]]", and the number of its line. */
export interface UnusableRule {
  readonly line: number
  readonly rule: string
}

/**
 * A part of a rule: returns each place up to which it can match, if it begins at one of `from`. Places are counted in letters and rise. All
 * ways are gone at once, so that no rule takes longer than its length times that of the path: an expression that tries one way after the
 * other may never end, and nothing could interrupt it.
 */
type Part = (path: ReadonlyArray<string>, from: ReadonlyArray<number>) => ReadonlyArray<number>

interface Rule {
  readonly parts: ReadonlyArray<Part>
  readonly negated: boolean
  readonly directoriesOnly: boolean
}

const one = (is: (letter: string) => boolean): Part => (path, from) =>
  from.flatMap((at) => {
    const letter = path[at]
    return letter !== undefined && is(letter) ? [at + 1] : []
  })

/** Any number of letters, none of them the border. */
const many = (border?: string): Part => (path, from) => {
  const to: Array<number> = []
  for (const first of from) {
    if (first <= (to.at(-1) ?? -1)) continue // an earlier way came by here, and has all that follows
    to.push(first)
    for (let at = first; at < path.length && path[at] !== border; at++) to.push(at + 1)
  }
  return to
}

const slash = one((letter) => letter === "/")
const inName = many("/")
const anything = many()
const directories: Part = (path, from) => {
  const [first = path.length] = from
  const behindSlash = path.flatMap((letter, at) => letter === "/" && at >= first ? [at + 1] : [])
  return [...new Set([...from, ...behindSlash])].sort((a, b) => a - b)
}

/** Throws on a range that goes backwards, and on a class, which would be taken for the letters of its name. */
const oneOf = (letters: string): Part => {
  if (/\[:[a-z]+:$/u.test(letters)) throw new Error("a class")
  const range = new RegExp(`^[${letters.replace(/^!/u, "^").replace(/[\\[\]]/gu, "\\$&")}]$`, "u")
  return one((letter) => range.test(letter))
}

/** A letter has at most 255 choices, so that not all that follows is gone through for each "[" that has no end. */
const words = /\*\*\/|\/\*\*$|\*+|\?|\[!?\]?[^\]]{0,255}\]|\\.|./gu

/** "**" crosses directories, "*" and "?" do not, "[a-z]" and "[!a-z]" are one letter. */
const partsOf = (glob: string): ReadonlyArray<Part> =>
  (glob.match(words) ?? []).flatMap((part) => {
    if (part === "**/") return [directories]
    if (part === "/**") return [slash, anything]
    if (part.startsWith("*")) return [inName]
    if (part === "?") return [one((letter) => letter !== "/")]
    if (part.startsWith("[") && part.length > 2) return [oneOf(part.slice(1, -1))]
    return Array.from(part.startsWith("\\") && part.length > 1 ? part.slice(1) : part, (wanted) => one((letter) => letter === wanted))
  })

const rule = (line: string): Rule => {
  const negated = line.startsWith("!")
  const body = (negated ? line.slice(1) : line).replace(/^\\(?=[!#])/u, "")
  const directoriesOnly = body.endsWith("/")
  const glob = body.replace(/(?<!\/)\/+$/u, "")
  return { negated, directoriesOnly, parts: [...(glob.includes("/") ? [] : [directories]), ...partsOf(glob.replace(/^\//u, ""))] }
}

/** Reports whether the rule matches the path or a directory above it. */
const matches = ({ directoriesOnly, parts }: Rule, path: ReadonlyArray<string>, isDirectory: boolean): boolean => {
  let from: ReadonlyArray<number> = [0]
  for (const part of parts) {
    if (from.length === 0) return false
    from = part(path, from)
  }
  return from.some((at) => at === path.length ? isDirectory || !directoriesOnly : path[at] === "/")
}

/** Reports whether a path is in `.git` or `.terraform`, at any depth. The modules downloaded to `.terraform/modules` are kept. */
const alwaysOut = (path: string): boolean => {
  const parts = path.split("/")
  if (parts.includes(".git")) return true
  const at = parts.indexOf(".terraform")
  return at >= 0 && parts.length > at + 1 && parts[at + 1] !== "modules"
}

const isRule = (line: string): boolean => line !== "" && line !== "!" && !line.startsWith("#")

const rulesOf = (text: string) =>
  Result.all(
    text.split(/\r?\n/u).map((given, index) => ({ line: index + 1, rule: given.trim() })).filter(({ rule }) => isRule(rule)).map((given) =>
      Result.try({ try: () => rule(given.rule), catch: (): UnusableRule => given })
    )
  )

const decidedBy = (rules: ReadonlyArray<Rule>): IgnoreRules => {
  const behindLastNegated = rules.slice(rules.findLastIndex(({ negated }) => negated) + 1)
  const excludes = (path: string, isDirectory: boolean, by = rules): boolean => {
    if (alwaysOut(path)) return true
    const letters = Array.from(path)
    return by.findLast((rule) => matches(rule, letters, isDirectory))?.negated === false
  }
  return { excludes, prunes: (directory) => excludes(directory, true, behindLastNegated) }
}

/**
 * Returns the rules in `text`, the content of .terraformignore, empty if there is none. The last rule that matches a path or a directory
 * above it decides.
 */
export const ignoreRules = (text: string): Result.Result<IgnoreRules, UnusableRule> => Result.map(rulesOf(text), decidedBy)
