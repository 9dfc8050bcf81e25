import { expect, it } from "@effect/vitest"
import { firstToken, hashIn, looksLikeHash, tokenLines } from "../../../src/core/text/token-lines.ts"

it("has a token a line, with the name of its holder", () =>
  expect(tokenLines("# of 2026\n\n one\ntwo  Ada \t Lovelace\r\n  # three\n")).toEqual([
    { number: 3, token: "one", name: "", role: "everything", workspaces: "all" },
    { number: 4, token: "two", name: "Ada Lovelace", role: "everything", workspaces: "all" }
  ]))

it.each([
  { line: "one CI role=plan", name: "CI", role: "plan" },
  { line: "one The board  role=read\r", name: "The board", role: "read" },
  { line: "one role=plan", name: "", role: "plan" },
  { line: "one Ada Parole", name: "Ada Parole", role: "everything" },
  { line: "one CI role=apply", name: "CI", role: undefined },
  { line: "one CI role=everything", name: "CI", role: undefined },
  { line: "one CI role=", name: "CI", role: undefined },
  { line: "one CI role= plan", name: "CI plan", role: undefined },
  { line: "one CI Role=plan", name: "CI", role: undefined },
  { line: "one CI role=Plan", name: "CI", role: undefined },
  { line: "one CI role:plan", name: "CI", role: undefined },
  { line: "one CI role", name: "CI", role: undefined },
  { line: "one CI role plan", name: "CI plan", role: undefined },
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
  ({ line, name, role }) => expect(tokenLines(line)).toEqual([{ number: 1, token: "one", name, role, workspaces: "all" }])
)

it.each([
  { line: "one CI workspaces=team-a-*,shared", name: "CI", workspaces: ["team-a-*", "shared"] },
  { line: "one CI workspaces=demo role=plan", name: "CI", role: "plan", workspaces: ["demo"] },
  { line: "one CI role=plan workspaces=demo", name: "CI", role: "plan", workspaces: ["demo"] },
  { line: "one workspaces=*", name: "", workspaces: ["*"] },
  { line: "one CI workspaces=role,iam_role,role-*", name: "CI", workspaces: ["role", "iam_role", "role-*"] },
  { line: "one CI workspaces=workspaces", name: "CI", workspaces: ["workspaces"] },
  { line: `one CI workspaces=${"x".repeat(90)}`, name: "CI", workspaces: ["x".repeat(90)] },
  { line: `one CI workspaces=${"x".repeat(91)}`, name: "CI", workspaces: undefined },
  { line: "one CI workspaces=", name: "CI", workspaces: undefined },
  { line: "one CI workspaces=a,", name: "CI", workspaces: undefined },
  { line: "one CI workspaces=a, b", name: "CI b", workspaces: undefined },
  { line: "one CI workspaces=-a*", name: "CI", workspaces: undefined },
  { line: "one CI workspaces=*-a", name: "CI", workspaces: undefined },
  { line: "one CI workspaces=a.b", name: "CI", workspaces: undefined },
  { line: "one CI workspaces=team-[ab]", name: "CI", workspaces: undefined },
  { line: "one CI workspaces=\"a\"", name: "CI", workspaces: undefined },
  { line: "one CI Workspaces=a", name: "CI", workspaces: undefined },
  { line: "one CI workspace=a", name: "CI", workspaces: undefined },
  { line: "one CI workspaces:a", name: "CI", workspaces: undefined },
  { line: "one CI workspaces = a", name: "CI a", workspaces: undefined },
  { line: "one CI worksapces=a", name: "CI", workspaces: undefined },
  { line: "one CI ws=team-a", name: "CI", workspaces: undefined },
  { line: "one Ada controle=plan", name: "Ada", workspaces: undefined },
  { line: "one CI team-a-*", name: "CI", workspaces: undefined },
  { line: "one CI wokspaces team-a-*", name: "CI wokspaces", workspaces: undefined },
  { line: "one CI scope:team-a-*", name: "CI", workspaces: undefined },
  { line: "one CI team-a-*,shared role=plan", name: "CI", role: "plan", workspaces: undefined },
  { line: "one CI role:team-a-*", name: "CI", role: undefined, workspaces: "all" },
  { line: "one CI role =plan", name: "CI", role: undefined, workspaces: undefined },
  { line: "one CI role = plan", name: "CI plan", role: undefined, workspaces: undefined },
  { line: `one CI workspaces=${Array(100).fill("a").join()}`, name: "CI", workspaces: Array(100).fill("a") },
  { line: `one CI workspaces=${Array(101).fill("a").join()}`, name: "CI", workspaces: undefined },
  { line: "one CI workspaces a", name: "CI a", workspaces: undefined },
  { line: "one CI (workspaces=a)", name: "CI", workspaces: undefined },
  { line: "one CI \u{200b}workspaces=a", name: "CI", workspaces: undefined },
  { line: "one workspaces=a CI", name: "CI", workspaces: undefined },
  { line: "one CI workspaces=a workspaces=b", name: "CI", workspaces: undefined },
  { line: "one workspaces=a CI role=plan", name: "CI", role: undefined, workspaces: undefined },
  { line: "one CI workspaces=a role=nonsense", name: "CI", role: undefined, workspaces: ["a"] },
  { line: "one CI role=plan,workspaces=a", name: "CI", role: undefined, workspaces: undefined },
  { line: "one CI workspaces=a,role=plan", name: "CI", role: undefined, workspaces: undefined },
  { line: "one team-workspace", name: "team-workspace", workspaces: "all" },
  { line: "one workspace-pool", name: "workspace-pool", workspaces: "all" }
])(
  "has workspaces beside the role, in any order, and takes nothing like them for a part of a name: $line",
  ({ line, ...said }) => expect(tokenLines(line)).toEqual([{ number: 1, token: "one", role: "everything", ...said }])
)

const digits = "0123456789abcdef".repeat(4)
const hashWord = `sha256:${digits}`

it.each([
  { word: hashWord, hash: digits },
  { word: hashWord.toUpperCase().replace("SHA", "sha"), hash: digits.toUpperCase() },
  { word: `SHA256:${digits}`, hash: digits },
  { word: hashWord.slice(0, -1) },
  { word: `${hashWord}0` },
  { word: hashWord.replace("f", "g") },
  { word: "sha256:" },
  { word: `sha256=${digits}` },
  { word: `sha-256:${digits}` },
  { word: `{SHA256}${digits}` },
  { word: `"${hashWord}"` },
  { word: `sha512:${digits}${digits}` },
  { word: `sha1:${digits.slice(24)}` }
])(
  "may have a hash for a token, and takes nothing like one for a token: $word",
  ({ hash, word }) => expect([looksLikeHash(word), hashIn(word)]).toEqual([true, hash])
)

it.each([digits, "shadow-of-a-token-0123", "sha256ofnothing01234", "a-sha256:token-01234"])(
  "has a token in clear that is no hash: %s",
  (word) => expect([looksLikeHash(word), hashIn(word)]).toEqual([false, undefined])
)

it.each([
  { text: "one", first: "one" },
  { text: "one\n", first: "one" },
  { text: "# comment\n\none Ada\ntwo\n", first: "one" },
  { text: "one CI role=plan\ntwo\n", first: "one" },
  { text: "one prod role=nonsense\n", first: "one" },
  { text: `${hashWord} Ada\ntwo\n`, first: "two" },
  { text: hashWord, first: undefined },
  { text: "", first: undefined },
  { text: "\n# one\n", first: undefined }
])("gives clients of $text the first", ({ first, text }) => expect(firstToken(text)).toBe(first))
