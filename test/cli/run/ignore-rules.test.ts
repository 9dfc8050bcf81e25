import { describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
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
  it("tell the line of one that can match nothing", () =>
    expect(ignoreRules("# all\n\n*.log\nfile[z-a].tf\n[b-a]")).toEqual(Result.fail({ line: 4, rule: "file[z-a].tf" })))
  it("spare reading a directory unless something in it may be wanted again", () => {
    expect(rulesOf("vendor/").prunes("vendor")).toBe(true)
    expect(rulesOf("vendor/\n!vendor/keep/").prunes("vendor")).toBe(false)
    expect(rulesOf("vendor/\n!").prunes("vendor")).toBe(true)
    expect(rulesOf("!x").prunes(".git")).toBe(true)
    expect(rulesOf("").prunes(".terraform")).toBe(false)
    expect(rulesOf("").prunes(".terraform/providers")).toBe(true)
  })
})
