// Escape sequences that a terminal does not show: which bytes are left out, and which only look like a sequence.
import { describe, expect, it } from "@effect/vitest"
import { plainOf } from "../../../src/core/text/escapes.ts"

const plain = (text: string, last = true) => {
  const { bytes, isOpen, original } = plainOf(new TextEncoder().encode(text), last)
  return { text: new TextDecoder().decode(bytes), isOpen, places: Array.from(bytes, (_, at) => original(at)) }
}
const bold = "\u001b[1m"

describe("plainOf", () => {
  it.each([
    { given: "no sequence", text: "abc", expected: { text: "abc", isOpen: false, places: [0, 1, 2] } },
    { given: "colours between letters", text: `a${bold}${bold}b`, expected: { text: "ab", isOpen: false, places: [0, 9] } },
    {
      given: "another escape sequence",
      text: "a\u001b]8;;x",
      expected: { text: "a\u001b]8;;x", isOpen: false, places: [0, 1, 2, 3, 4, 5, 6] }
    },
    {
      given: "a sequence that is too long",
      text: `\u001b[${"1;".repeat(20)}m`,
      expected: { text: `\u001b[${"1;".repeat(20)}m`, isOpen: false, places: Array.from({ length: 43 }, (_, at) => at) }
    },
    {
      given: "a row that is too long",
      text: `${bold.repeat(9)}a`,
      expected: { text: `${bold}a`, isOpen: false, places: [32, 33, 34, 35, 36] }
    },
    {
      given: "many sequences, none after another",
      text: `${bold}a`.repeat(10),
      expected: { text: "a".repeat(10), isOpen: false, places: Array.from({ length: 10 }, (_, at) => at * 5 + 4) }
    },
    { given: "a key that moves", text: "a\u001b[3~b", expected: { text: "ab", isOpen: false, places: [0, 5] } },
    { given: "a bracket of its own", text: `x[1m${bold}y`, expected: { text: "x[1my", isOpen: false, places: [0, 1, 2, 3, 8] } },
    {
      given: "what no sequence has in it",
      text: "a\u001b[1\u007fm\u001b[é",
      expected: { text: "a\u001b[1\u007fm\u001b[é", isOpen: false, places: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }
    },
    { given: "a sequence that never ends", text: "a\u001b[1", expected: { text: "a\u001b[1", isOpen: false, places: [0, 1, 2, 3] } }
  ])("of $given", ({ expected, text }) => expect(plain(text)).toEqual(expected))

  it.each(["a\u001b", "a\u001b[", "a\u001b[31;", `a${bold}`])(
    "waits for more after %j",
    (text) => expect(plain(text, false)).toEqual({ text: "a", isOpen: true, places: [0] })
  )
})
