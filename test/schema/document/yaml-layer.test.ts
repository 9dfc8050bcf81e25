// Every key of a values file has a line and a column, and so has every fault of its text.
import { describe, expect, it, vi } from "@effect/vitest"
import { Result } from "effect"
import { told } from "../../../src/schema/document/fault.ts"
import { at } from "../../../src/schema/document/layers.ts"
import { yamlLayer } from "../../../src/schema/document/yaml-layer.ts"

const text = `# ours
task:
  limits: { total: 5, perWorkspace: 2 }
  tolerations:
    - key: a
      operator: Exists
    - key: b
base: &base
  x: 1
other:
  <<: *base
  y: 2
`
const layer = Result.getOrThrow(yamlLayer("values.yaml", text))
const faults = (text: string) => Result.match(yamlLayer("f", text), { onFailure: (_) => _.map(told), onSuccess: () => [] })

describe("a layer of YAML", () => {
  it.each([
    { path: ["task"], place: "2:1" },
    { path: ["task", "limits", "perWorkspace"], place: "3:23" },
    { path: ["task", "tolerations", 1], place: "7:7" },
    { path: ["task", "tolerations", 0, "operator"], place: "6:7" },
    { path: ["task", "limits", "missing"], place: "3:3" },
    { path: ["other", "x"], place: "10:1" },
    { path: [], place: "2:1" }
  ])("has $path at $place", ({ path, place }) => expect(at("f", layer.place(path))).toBe(`f:${place}`))

  it("has the data, merge keys carried out", () =>
    expect(layer.tree).toMatchObject({ task: { limits: { total: 5 } }, other: { x: 1, y: 2 } }))
  it("has the place of each of very many keys in good time", () => {
    const keys = Array.from({ length: 20_000 }, (_, index) => `key${index}`)
    const { place } = Result.getOrThrow(yamlLayer("f", `a: &a\n${keys.map((key) => `  ${key}: 1\n`).join("")}b: *a\n`))
    for (const map of ["a", "b"]) expect(keys.findIndex((key, index) => place([map, key]).line !== index + 2)).toBe(-1) // also by an alias
  })
  it.each([{ text: "" }, { text: "# nothing\n" }, { text: "~" }])(
    "is empty for $text",
    ({ text }) => expect(Result.getOrThrow(yamlLayer("f", text)).tree).toEqual({})
  )

  it("reads file modes as Helm and kubectl do", () =>
    expect(Result.getOrThrow(yamlLayer("f", "a: [0400, 0o400, 0, 0.5, 10, -010, '0400']")).tree).toEqual({
      a: [256, 256, 0, 0.5, 10, -8, "0400"]
    }))

  it.each([
    { given: "an unfinished list", text: "a:\n  b: [", told: [/^f:2:7 .*end with a \]$/u] },
    { given: "a key twice", text: "a: 1\nb:\n  c: 1\n  c: 2\n", told: [/^f:4:3 this key is given twice; keep one$/u] },
    {
      given: "a key that is a map",
      text: "a: {{ b }}\n",
      told: [/^f:1:5 this key is a list or map; put \{\{ … \}\} in quotes if it is a text$/u]
    },
    { given: "very many keys that are maps, in one another", text: `${"? ".repeat(2000)}a\n`, told: [/^f:1:3 this key is a list or map/u] },
    { given: "a tab", text: "a:\n\tb: 1\n", told: [/^f:2:1 Tabs are not allowed as indentation$/u] },
    { given: "two documents", text: "a: 1\n---\nb: 1\n", told: [/^f:2:1 another document begins here; a file has one$/u] },
    { given: "a list", text: "\n- a\n", told: [/^f:2:1 must be a map of keys$/u] },
    {
      given: "an alias of nothing",
      text: "a:\n  - *b\n",
      told: [/^f:2:5 this alias names no anchor before it; put it in quotes if it is a text$/u]
    },
    {
      given: "aliases of aliases of aliases",
      text: ["a0: &a0 [x, x]", ...Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`)].join("\n"),
      told: [/^f its aliases unfold to too much; write out what they stand for$/u]
    },
    {
      given: "very many aliases, in good time",
      text: `a: &a 1\nb:\n${"  - *a\n".repeat(30_000)}`,
      told: [/^f it has too many aliases for its length; write out what they stand for$/u]
    },
    {
      given: "very many aliases, each of its own, in good time",
      text: `a:\n${Array.from({ length: 20_000 }, (_, at) => `  - &a${at} 1\n  - &b${at} [*a${at}]\n  - *b${at}\n`).join("")}`,
      told: [/^f it has too many aliases for its length; write out what they stand for$/u]
    },
    {
      given: "a merge of a text",
      text: "a:\n  <<: secret\n",
      told: [/^f a << in it takes no map; give it an alias of a map, or put it in quotes if it is a key$/u]
    },
    {
      given: "an unknown tag",
      text: "a: !secret b\n",
      told: [/^f:1:4 this tag means nothing here; leave it out, or put a text in quotes$/u]
    },
    { given: "an unknown escape", text: "a: \"\\q\"\n", told: [/^f:1:5 this escape means nothing; write \\\\ for a backslash$/u] },
    { given: "an unknown directive", text: "%a b\n---\na: 1\n", told: [/^f:1:1 this directive means nothing here; leave it out$/u] },
    { given: "a block with a text in its first line", text: "a: |b\n", told: [/^f:1:\d Block scalar header includes extra characters$/u] },
    {
      given: "a number that is nearly octal",
      text: "a: 0789\n",
      told: [/^f:1:4 this is no octal number; put it in quotes, or leave the zeros out$/u]
    },
    {
      given: "a number that would lose digits",
      text: "a: 123456789012345678901\n",
      told: [/^f:1:4 this is too long for a number; put it in quotes if it is a text$/u]
    },
    { given: "a template of Helm's, with a fault a line", text: "{{- if .Values.x }}\na: {b: x}\n", told: [/^f:1:/u, /^f:2:/u] },
    { given: "a tower of maps", text: `${"{a: ".repeat(5000)}1${"}".repeat(5000)}`, told: [/^f:1:\d+ is nested too deeply$/u] },
    { given: "two faults", text: "a: 1\na: 2\nb: \"\n", told: [/^f:2:1 this key is given twice; keep one$/u, /^f:4:1/u] },
    { given: "a key twice in a line, once in quotes", text: "a: { b: 1, \"b\": 2, b: 3 }\n", told: [/^f:1:12 this key is given twice/u] }
  ])("is refused for $given, with the place", ({ text, told }) => expect(faults(text)).toEqual(told.map((_) => expect.stringMatching(_))))

  it.each([
    "!",
    "!!",
    "!x!",
    "*",
    "@",
    "`",
    "%",
    "]",
    "}",
    "|",
    ">",
    "- ",
    "? ",
    "\"abc\" ",
    "'abc'",
    "\"\\",
    "\"\\x",
    "\"\\U",
    "'",
    "& &",
    "|2",
    "{",
    "[",
    "&x &",
    "!<",
    "{? {"
  ])("repeats nothing of a value in a message: %s", (before) => {
    for (const value of ["S3CRETVAL", "99812345678901234567", "0998123"]) {
      for (
        const text of [
          `${before}${value}`,
          `a: ${before}${value}\n`,
          `a:\n  b: [${before}${value}, x\nc: d`,
          `${before}${value} x\n---\na: b\n`
        ]
      ) {
        for (const fault of faults(text)) expect(fault).not.toMatch(/3CR|9812|ETV/u)
      }
    }
  })

  it("says nothing of a key that is a map on the error stream", () => {
    const warned = vi.spyOn(process, "emitWarning").mockReturnValue()
    yamlLayer("f", "? { S3CRETVAL: 1 }\n: 2\n")
    expect(warned).not.toHaveBeenCalled()
  })
})
