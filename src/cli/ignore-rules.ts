// What of a directory does not go into the archive: the rules of .terraformignore, which are those of .gitignore, and two that always hold.
// Pure: paths are relative to the root, with "/" between their parts.
// Used by archive.ts.

export interface IgnoreRules {
  readonly excludes: (path: string, isDirectory: boolean) => boolean
  /** Whether nothing under an excluded directory can be wanted again, so that it need not be read. */
  readonly prunes: (directory: string) => boolean
}

interface Rule {
  readonly pattern: RegExp
  readonly negated: boolean
  readonly directoriesOnly: boolean
}

const escaped = (text: string) => text.replace(/[.+^${}()|[\]\\/]/gu, "\\$&")

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
      ? `[${part.slice(1, -1).replace(/^!/u, "^").replace(/[\\[\]&~]/gu, "\\$&")}]`
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

/** `.git` and `.terraform` stay out at any depth, but for the modules that were downloaded. */
const alwaysOut = (path: string): boolean => {
  const parts = path.split("/")
  if (parts.includes(".git")) return true
  const at = parts.indexOf(".terraform")
  return at >= 0 && parts.length > at + 1 && parts[at + 1] !== "modules"
}

const withParents = (path: string): ReadonlyArray<string> => path.split("/").map((_, index, parts) => parts.slice(0, index + 1).join("/"))

/**
 * `text` is the content of .terraformignore, empty when there is none. The last rule that matches a path or a directory above it decides.
 */
export const ignoreRules = (text: string): IgnoreRules => {
  const rules = text.split(/\r?\n/u).map((line) => line.trim()).filter((line) =>
    line !== "" && line !== "/" && line !== "!" && !line.startsWith("#")
  ).map(rule)
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
