// Which backends of a configuration may have a state that a new workspace lacks.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { backendIn, nothingHereYet } from "../../../src/core/state/unused-backend.ts"
import { costOf } from "../../cost.ts"

const own = "https://aj/api/state/v1/workspaces/prod"
const of = (text: string, name = "main.tf", workspace?: string) => backendIn(name, text, workspace)
const inTerraform = [
  `required_version = ">= 1.6"`,
  `required_providers {\ntime = {\nsource = "hashicorp/time"\n}\n}`,
  `encryption {\nmethod "unencrypted" "m" {\n}\n}`,
  `provider_meta "time" {\n}`,
  "# where the state is, not in cloud {",
  `/* was:\nbackend "gcs" {\n}\n*/`,
  ""
] as const
const beside = [
  `resource "juju_model" "a" {\ncloud {\nname = "b"\n}\n}`,
  `data "x" "y" {\nbackend {\n}\n}`,
  `locals {\na = 1\n}`,
  `moved {\nfrom = a.b\nto = a.c\n}`,
  "/* cloud {\n} */"
] as const
const InTerraform = Schema.Array(Schema.Literals(inTerraform))
const Beside = Schema.Array(Schema.Literals(beside))
const Indents = Schema.NonEmptyArray(Schema.Literals(["", "", " ", "  ", "\t"]))

const json = (terraform: unknown) => of(JSON.stringify({ terraform }, null, 2), "main.tf.json")

describe("backendIn", () => {
  it.each([
    { given: "s3", text: `terraform {\n  backend "s3" {\n    bucket = "b"\n  }\n}\n`, expected: "s3" },
    { given: "one on a line", text: `terraform {\n  backend "gcs" {}\n}\n`, expected: "gcs" },
    { given: "one without quotes, not formatted", text: `  terraform {\nbackend azurerm{\n}\n  }`, expected: "azurerm" },
    {
      given: "one after other blocks",
      text: `terraform {\n  required_providers {\n    a = { source = "a/b" }\n  }\n  backend "s3" {}\n}\n`
    },
    { given: "one in the second block", text: `terraform {\n  required_version = ">1"\n}\nterraform {\n  backend "s3" {}\n}\n` },
    {
      given: "one after what looks like a comment and ends nowhere",
      text: `locals {\n  redirects = <<E\n/* /index.html 200\nE\n}\nterraform {\n  backend "s3" {}\n}\n`
    },
    { given: "one after a block, not formatted", text: `terraform {\nrequired_providers {\n}\n\nbackend "s3" {\n}\n}\n` },
    { given: "one with comments between its words", text: `terraform /* a */ {\n  backend /* b */ "s3" /* c\n  d */ {\n  }\n}\n` },
    { given: "cloud with a comment before its brace", text: `terraform/**/{\n  cloud /* our own */ {\n  }\n}\n`, expected: "cloud" },
    { given: "one with the line ends of Windows", text: `terraform {\r\n  backend "s3" {\r\n  }\r\n}\r\n` },
    {
      given: "one after a block and a comment, not formatted",
      text: `terraform {\nencryption {\n}\n# of the team\nbackend "s3" {\n}\n}\n`
    },
    {
      given: "one between what only looks like a comment and a comment",
      text: `locals {\n  redirects = <<E\n/* /index.html 200\nE\n}\nterraform {\n  backend "s3" {}\n}\n/* end */\n`
    },
    {
      given: "http of another server",
      text: `terraform {\n  backend "http" {\n    address = "https://gitlab/state"\n  }\n}\n`,
      expected: "http"
    },
    { given: "http with its address elsewhere", text: `terraform {\n  backend "http" {}\n}\n`, expected: "http" },
    { given: "local at a path", text: `terraform {\n  backend "local" {\n    path = "/mnt/x"\n  }\n}\n`, expected: "local" },
    { given: "cloud", text: `terraform {\n  cloud {\n    organization = "o"\n  }\n}\n`, expected: "cloud" }
  ])("finds $given", ({ expected = "s3", text }) => expect(of(text)).toBe(expected))

  it.each([
    { given: "an object", terraform: { backend: { s3: { bucket: "b" } } }, expected: "s3" },
    { given: "a list", terraform: [{ required_version: ">1" }, { backend: [{ s3: {} }] }], expected: "s3" },
    { given: "cloud", terraform: { cloud: { organization: "o" } }, expected: "cloud" }
  ])("finds it in JSON, as $given", ({ expected, terraform }) => expect(json(terraform)).toBe(expected))

  it.each([
    { given: "no terraform block", text: `resource "x" "y" {\n  cloud {\n  }\n}\n` },
    { given: "the word elsewhere", text: `terraform {\n}\nresource "lb" "y" {\n  backend "s3" {\n  }\n}\n` },
    { given: "a comment", text: `terraform {\n  # backend "s3" {}\n  // backend "s3" {}\n  /* was:\n  backend "s3" {}\n  */\n}\n` },
    { given: "the engine's own default", text: `terraform {\n  backend "local" {}\n}\n` }
  ])("finds none with $given", ({ text }) => expect(of(text)).toBeUndefined())
  it.each([
    { where: "none in the workspace that it names", workspace: "prod", expected: undefined },
    { where: "it in a workspace of another name, as after a renaming", workspace: "prod-eu", expected: "http" },
    { where: "it in one whose name is the beginning of that", workspace: "pro", expected: "http" },
    { where: "it without a pool", workspace: undefined, expected: "http" }
  ])("of a block that names a workspace of such a server, finds $where", ({ expected, workspace }) => {
    const addresses = Object.fromEntries(["address", "lock_address"].map((key) => [key, "https://aj/api/state/v1/workspaces/prod"]))
    const lines = Object.entries(addresses).map(([key, url]) => `    ${key} = "${url}"\n`).join("")
    expect([
      of(`terraform {\n  backend "http" {\n${lines}  }\n}\n`, "main.tf", workspace),
      of(JSON.stringify({ terraform: { backend: { http: addresses } } }), "main.tf.json", workspace)
    ]).toEqual([expected, expected])
  })
  it.each([
    { beside: "only its lock is of the workspace", lines: [`address = "https://git/x"`, `lock_address = "${own}"`] },
    { beside: "its former address is a comment", lines: [`# address = "${own}"`, `address = "https://git/x"`] },
    { beside: "its address is a variable", lines: [`address = var.place`, `lock_address = "${own}"`] },
    { beside: "its lock is elsewhere", lines: [`address = "${own}"`, `lock_address = "https://git/x"`] }
  ])(
    "finds a block http where $beside",
    ({ lines }) => expect(of(`terraform {\n  backend "http" {\n${lines.join("\n")}\n  }\n}\n`, "main.tf", "prod")).toBe("http")
  )
  it.prop("finds it however the file is formatted, and none where there is none", [
    Beside,
    InTerraform,
    Schema.Literals(["backend \"s3\"", "cloud", ""]),
    InTerraform,
    Beside,
    Indents,
    Schema.Boolean
  ], ([before, above, block, below, after, indents, ofWindows]) => {
    const blocks = [...before, "terraform {", ...above, block === "" ? "" : `${block} {\nregion = "r"\n}`, ...below, "}", ...after]
    const lines = blocks.join("\n").split("\n").map((line, at) => `${indents[at % indents.length]}${line}`)
    expect(of(lines.join(ofWindows ? "\r\n" : "\n"))).toBe({ "backend \"s3\"": "s3", cloud: "cloud", "": undefined }[block])
  })
  it("finds none in JSON without one", () => expect(json({ backend: { local: {} } })).toBeUndefined())
  it.each([
    { made: "comments without an end", text: "/*\n".repeat(2 ** 18) },
    { made: "one with many lines", text: `/*${"\n".repeat(2 ** 19)}` },
    { made: "backends without a block", text: `terraform {\n${"backend \"s3\"\n".repeat(2 ** 16)}` },
    { made: "backends before comments", text: `terraform {\n${"backend /*\n".repeat(2 ** 16)}` },
    { made: "many in a line", text: `terraform {\n${`${"backend /**/".repeat(2 ** 8)}\n`.repeat(2 ** 8)}` },
    { made: "no block of that name", text: `${"terraform /* ".repeat(2 ** 16)}{` },
    { made: "comments after a name", text: `terraform {\nbackend ${"/* */ ".repeat(2 ** 16)}` },
    { made: "JSON without an end", text: `{"terraform":${"{\"backend\":[".repeat(2 ** 16)}`, name: "main.tf.json" }
  ])(
    "needs no longer than a moment for a text that is made to last, of $made",
    ({ name, text }) => expect(costOf(1, () => of(text, name))).toBeLessThan(1)
  )
})

it.each([["cloud", "The cloud block of"], ["s3", "The backend s3 of"]])(
  "is told by its kind: %s",
  (type, begin) =>
    expect(nothingHereYet(type, "demo", "http://server")).toMatch(new RegExp(`^${begin} the configuration is not used: `, "u"))
)
