import { expect, it } from "@effect/vitest"
import { firstToken, tokenLines } from "../../../src/core/text/token-lines.ts"

it("has a token a line, with the name of its holder", () =>
  expect(tokenLines("# of 2026\n\n one\ntwo  Ada \t Lovelace\r\n  # three\n")).toEqual([
    { token: "one", name: "" },
    { token: "two", name: "Ada Lovelace" }
  ]))

it.each([
  { text: "one", first: "one" },
  { text: "one\n", first: "one" },
  { text: "# comment\n\none Ada\ntwo\n", first: "one" },
  { text: "", first: undefined },
  { text: "\n# one\n", first: undefined }
])("gives clients of $text the first", ({ first, text }) => expect(firstToken(text)).toBe(first))
