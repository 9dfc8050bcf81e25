import { describe, expect, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { ignoreRules } from "../../../src/cli/run/ignore-rules.ts"

const rulesOf = (text: string) => Result.getOrThrow(ignoreRules(text))

const cases: ReadonlyArray<readonly [rules: string, path: string, excluded: boolean]> = [
  // always
  ["", ".git/config", true],
  ["", "modules/a/.git/HEAD", true],
  ["", ".terraform/providers/x", true],
  ["", ".terraform/modules/vpc/main.tf", false],
  ["", "sub/.terraform/modules/vpc/main.tf", false],
  ["", "sub/.terraform/terraform.tfstate", true],
  ["", ".terraform.lock.hcl", false],
  ["", ".gitignore", false],
  ["!.git/", ".git/config", true],
  // at any depth, and below a directory
  ["node_modules", "node_modules/left-pad/index.js", true],
  ["node_modules/", "web/node_modules/a.js", true],
  ["node_modules/", "docs/node_modules", false],
  ["*.log", "a/b/c.log", true],
  ["*.log", "a/b/clog", false],
  // anchored
  ["/build", "build/out.txt", true],
  ["/build", "src/build/out.txt", false],
  ["docs/*.md", "docs/a.md", true],
  ["docs/*.md", "docs/deep/a.md", false],
  // stars
  ["**/secret.txt", "secret.txt", true],
  ["**/secret.txt", "a/b/secret.txt", true],
  ["a/**/z", "a/z", true],
  ["a/**/z", "a/b/c/z", true],
  ["logs/**", "logs/a/b", true],
  ["logs/**", "logs", false],
  ["file?.tf", "file1.tf", true],
  ["file?.tf", "file10.tf", false],
  ["file[0-9].tf", "file1.tf", true],
  ["file[!0-9].tf", "file1.tf", false],
  ["r[&~]d", "r&d", true],
  ["\\*.tf", "*.tf", true],
  ["\\*.tf", "main.tf", false],
  ["why\\?", "why?", true],
  ["why\\?", "wh", false],
  ["a.b", "axb", false],
  // the last rule that matches decides
  ["*.tfvars\n!prod.tfvars", "prod.tfvars", false],
  ["*.tfvars\n!prod.tfvars", "dev.tfvars", true],
  ["!prod.tfvars\n*.tfvars", "prod.tfvars", true],
  ["vendor/\n!vendor/keep/", "vendor/keep/a.tf", false],
  ["*.pem\n!certs/", "certs/key.pem", false],
  ["!certs/\n*.pem", "certs/key.pem", true],
  ["[[:]", ":", true],
  // letters of more than one unit
  ["??", "😀", false],
  ["*[!😀]", "😀", false],
  // comments, blank lines, escapes and spaces at the end
  ["# *.tf\n\n   \n/", "main.tf", false],
  ["\\#odd", "#odd", true],
  ["\\", "\\", true],
  ["*.bak  \r\n", "x.bak", true]
]

describe("the rules of .terraformignore", () => {
  it.each(cases)("%j: %s is left out: %s", (rules, path, excluded) => expect(rulesOf(rules).excludes(path, false)).toBe(excluded))
  it("take a rule with a slash at its end for directories only", () => {
    expect(rulesOf("cache/").excludes("cache", true)).toBe(true)
    expect(rulesOf("cache/").excludes("cache", false)).toBe(false)
  })
  it.each(["file[z-a].tf", "key[[:digit:]].pem", "key[!a-f[:digit:]].pem"])(
    "tell the line of one that would not match what it names: %s",
    (rule) => expect(ignoreRules(`# all\n\n*.log\n${rule}\n[b-a]`)).toEqual(Result.fail({ line: 4, rule }))
  )
  it("spare reading a directory unless something in it may be wanted again", () => {
    expect(rulesOf("vendor/").prunes("vendor")).toBe(true)
    expect(rulesOf("vendor/\n!vendor/keep/").prunes("vendor")).toBe(false)
    expect(rulesOf("!keep.tf\nvendor/").prunes("vendor")).toBe(true)
    expect(rulesOf("vendor/\n!").prunes("vendor")).toBe(true)
    expect(rulesOf("!x").prunes(".git")).toBe(true)
    expect(rulesOf("").prunes(".terraform")).toBe(false)
    expect(rulesOf("").prunes(".terraform/providers")).toBe(true)
  })
  it.each([
    { of: "*a", rule: `${"*a".repeat(40)}b`, path: "a".repeat(250) },
    { of: "**/a/", rule: `${"**/a/".repeat(40)}b`, path: `${"a/".repeat(100)}c` },
    { of: "a**/", rule: `${"a**/".repeat(40)}b`, path: "a/".repeat(100) + "a".repeat(250) },
    { of: "[!b]*", rule: `${"[!b]*".repeat(40)}b`, path: "a".repeat(250) },
    { of: "[", rule: "[".repeat(300_000), path: "a" }
  ])(
    "are held against any path in good time, also with very many $of",
    ({ path, rule }) => expect(rulesOf(rule).excludes(path, false)).toBe(false)
  )
})

/** What a rule without "[", "\\", "!" and "#" means, as an expression: exact, and for a rule with many stars endless. */
const expression = (rule: string): RegExp => {
  const glob = rule.replace(/\/+$/u, "")
  const parts: Readonly<Record<string, string>> = { "**/": "(?:.*/)?", "/**": "/.*", "?": "[^/]", ".": "\\." }
  const source = glob.replace(/^\//u, "").replace(
    /\*\*\/|\/\*\*$|\*+|[?.]/gu,
    (part) => parts[part] ?? "[^/]*"
  )
  return new RegExp(`^${glob.includes("/") ? "" : "(?:.*/)?"}${source}$`, "u")
}

const Rule = Schema.Array(Schema.Literals(["a", "b", ".", "?", "*", "**", "/", "**/", "/**"])).check(
  Schema.isMinLength(1),
  Schema.isMaxLength(6)
)
const Path = Schema.Array(Schema.Literals(["a", "b", "ab", "a.b", "aab", "."])).check(Schema.isMinLength(1), Schema.isMaxLength(4))

it.prop("a rule of .terraformignore matches what its expression does, or a directory above it", {
  rule: Rule,
  path: Path,
  isDirectory: Schema.Boolean
}, ({ isDirectory, path, rule }) => {
  const line = rule.join("")
  const found = path.findIndex((_, at) =>
    expression(line).test(path.slice(0, at + 1).join("/")) && (!line.endsWith("/") || isDirectory || at < path.length - 1)
  )
  expect(rulesOf(line).excludes(path.join("/"), isDirectory)).toBe(found >= 0)
})
