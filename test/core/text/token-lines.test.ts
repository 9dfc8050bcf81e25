import { expect, it } from "@effect/vitest"
import { firstToken, tokenLines } from "../../../src/core/text/token-lines.ts"

it("has a token a line, with the name of its holder", () =>
  expect(tokenLines("# of 2026\n\n one\ntwo  Ada \t Lovelace\r\n  # three\n")).toEqual([
    { token: "one", name: "", role: "everything" },
    { token: "two", name: "Ada Lovelace", role: "everything" }
  ]))

it.each([
  { line: "one CI role=plan", name: "CI", role: "plan" },
  { line: "one The board  role=read\r", name: "The board", role: "read" },
  { line: "one role=plan", name: "", role: "plan" },
  { line: "one Ada Parole", name: "Ada Parole", role: "everything" },
  { line: "one Ada controle=plan", name: "Ada controle=plan", role: "everything" },
  { line: "one CI role=apply", name: "CI", role: undefined },
  { line: "one CI role=everything", name: "CI", role: undefined },
  { line: "one CI role=", name: "CI", role: undefined },
  { line: "one CI role= plan", name: "CI plan", role: undefined },
  { line: "one CI Role=plan", name: "CI", role: undefined },
  { line: "one CI role=Plan", name: "CI", role: undefined },
  { line: "one CI role:plan", name: "CI", role: undefined },
  { line: "one CI role", name: "CI", role: undefined },
  { line: "one CI role plan", name: "CI plan", role: undefined },
  { line: "one CI role =plan", name: "CI =plan", role: undefined },
  { line: "one CI role = plan", name: "CI = plan", role: undefined },
  { line: "one CI roles=plan", name: "CI", role: undefined },
  { line: "one CI (role=plan)", name: "CI", role: undefined },
  { line: "one CI,role=plan", name: "", role: undefined },
  { line: "one CI_role=plan", name: "", role: undefined },
  { line: "one CI \"role=plan\"", name: "CI", role: undefined },
  { line: "one CI \u{200b}role=plan", name: "CI", role: undefined },
  { line: "one CI-role=plan", name: "", role: undefined },
  { line: "one deploy-role", name: "deploy-role", role: "everything" },
  { line: "one role-play", name: "role-play", role: "everything" },
  { line: "one Role Model", name: "Model", role: undefined },
  { line: "one role=plan CI", name: "CI", role: undefined },
  { line: "one CI role=read role=plan", name: "CI", role: undefined },
  { line: "one CI role=plan role=plan", name: "CI", role: undefined }
])(
  "has a role as its last word, and takes nothing like one for a part of a name: $line",
  ({ line, name, role }) => expect(tokenLines(line)).toEqual([{ token: "one", name, role }])
)

it.each([
  { text: "one", first: "one" },
  { text: "one\n", first: "one" },
  { text: "# comment\n\none Ada\ntwo\n", first: "one" },
  { text: "one CI role=plan\ntwo\n", first: "one" },
  { text: "one prod role=nonsense\n", first: "one" },
  { text: "", first: undefined },
  { text: "\n# one\n", first: undefined }
])("gives clients of $text the first", ({ first, text }) => expect(firstToken(text)).toBe(first))
