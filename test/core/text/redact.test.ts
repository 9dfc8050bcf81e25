// Secrets in a stream of bytes: none gets through in any spelling, however the stream is cut, and nothing else is changed.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { createHash } from "node:crypto"
import { begin, redactor } from "../../../src/core/text/redact.ts"
import { forms } from "../../../src/core/text/secret-forms.ts"
import { costOf } from "../../cost.ts"

const encode = (text: string) => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** Texts of few letters, so that secrets overlap each other and themselves. */
const Letters = Schema.String.check(Schema.isPattern(/^[ab]{0,40}$/u))
const Secret = Schema.String.check(Schema.isPattern(/^[ab]{4,9}$/u))
const Any = Schema.String.check(Schema.isPattern(/^[ -~\n]{6,90}$/u))
const Cuts = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 7 })))

/** Returns what the redactor makes of the stream when it comes in pieces of these sizes, over and over. */
const inPieces = (secrets: ReadonlyArray<string>, bytes: Uint8Array, sizes: ReadonlyArray<number>): string => {
  const { end, next } = redactor(secrets)
  let state = begin
  const shown: Array<Uint8Array> = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? bytes.length
    const [after, out] = next(state, bytes.subarray(at, at + size))
    state = after
    shown.push(out)
    at += size
  }
  return decode(Buffer.concat([...shown, end(state)]))
}

/** Returns the expected text, found the slow way: every letter of an occurrence is hidden, and a run of hidden letters becomes one mask. */
const slowly = (secrets: ReadonlyArray<string>, text: string): string => {
  const hidden = Array.from(text, () => false)
  for (const form of secrets.flatMap(forms)) {
    for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1)) hidden.fill(true, at, at + form.length)
  }
  return [...text].map((letter, at) => hidden[at] ? hidden[at - 1] ? "" : "***" : letter).join("")
}

/** Letters, escape sequences that a terminal does not show, and texts that only look like them. */
const Coloured = Schema.Array(
  Schema.Literals([
    "a",
    "b",
    "aaaa",
    "aaab",
    "aaab",
    "\u001b[0m",
    "\u001b[31;1m",
    "\u001b[K",
    "\u001b",
    "[",
    "\u001b[",
    "\u001b[1;2;3;4;5;6;7;8;9;10;11;12m"
  ])
).check(Schema.isMaxLength(60))
/** Letters, each after at most three colours. */
const Painted = Schema.Array(
  Schema.Tuple([
    Schema.Array(Schema.Literals(["\u001b[0m", "\u001b[31;1m", "\u001b[K"])).check(Schema.isMaxLength(3)),
    Schema.Literals(["a", "b"])
  ])
)
const paint = (letters: typeof Painted.Type) => letters.map(([colours, letter]) => colours.join("") + letter).join("")
const unpainted = (text: string) => text.replaceAll(/\u001b\[[\d;]*[A-Za-z]/gu, "")

describe("redactor", () => {
  it.prop("takes out exactly the bytes that belong to an occurrence", [Schema.Array(Secret), Letters], ([secrets, text]) => {
    expect(redactor(secrets).text(text)).toBe(slowly(secrets, text))
  })

  it.prop("gives the same however the stream is cut", [Schema.Array(Secret), Letters, Cuts], ([secrets, text, cuts]) => {
    expect(inPieces(secrets, encode(text), cuts)).toBe(redactor(secrets).text(text))
  })

  it.prop("gives the same for a long secret however the stream is cut", [Any, Any, Cuts], ([part, text, cuts]) => {
    const secret = part.repeat(20)
    const bytes = encode(`${text}${secret}${text}`)
    expect(inPieces([secret], bytes, cuts)).toBe(redactor([secret]).text(decode(bytes)))
    expect(inPieces([secret], bytes, cuts)).not.toContain(secret)
  })

  it.prop("lets no spelling of a secret through", [Any, Any, Cuts], ([secret, text, cuts]) => {
    for (const form of forms(secret)) expect(inPieces([secret], encode(`${text}${form}${text}`), cuts)).not.toContain(form)
  })

  it.prop("leaves bytes alone that are no part of a secret, be they text or not", [Schema.Uint8Array, Cuts], ([bytes, cuts]) => {
    const { end, next } = redactor(["a secret that does not occur"])
    const [state, shown] = next(begin, bytes)
    expect(Buffer.concat([shown, end(state)])).toEqual(Buffer.from(bytes))
    expect(inPieces([], bytes, cuts)).toBe(decode(bytes))
  })

  it.prop("gives the same however coloured text is cut", [
    Schema.Array(Schema.Literals(["aaaa", "aaab", "abab"])).check(Schema.isMaxLength(2)),
    Coloured,
    Cuts
  ], ([secrets, text, cuts]) => {
    const bytes = encode(text.join(""))
    expect(inPieces(secrets, bytes, cuts)).toBe(redactor(secrets).text(decode(bytes)))
  })

  it.prop(
    "takes out of coloured text what it takes out of plain text, and no colour outside of a secret",
    [Schema.Array(Secret), Painted],
    ([secrets, letters]) => {
      const shown = redactor(secrets).text(paint(letters))
      expect(unpainted(shown)).toBe(slowly(secrets, unpainted(paint(letters))))
      expect(redactor([]).text(paint(letters))).toBe(paint(letters))
      if (!shown.includes("***")) expect(shown).toBe(paint(letters))
    }
  )

  it.prop("finds a secret that has colours itself", [Any, Any], ([part, text]) => {
    const secret = `${part.slice(0, 3)}\u001b[1m${part.slice(3)}`
    expect(redactor([secret]).text(`${text}${secret}${text}`)).not.toContain(secret)
  })

  it.prop("is done after one pass", [Schema.Array(Secret), Letters], ([secrets, text]) => {
    const once = redactor(secrets).text(text)
    expect(redactor(secrets).text(once)).toBe(once)
  })

  it.prop(
    "is that of all secrets when some are added later",
    [Schema.Array(Secret), Schema.Array(Secret), Letters],
    ([some, more, text]) => {
      expect(redactor(some).and(more).text(text)).toBe(redactor([...some, ...more]).text(text))
    }
  )

  it("hides no letter that only happens to be the last of a long secret", () => {
    const secret = `${"0123456789abcdef".repeat(4)}~`
    expect(redactor([secret]).text(`~ ${secret} ~`)).toBe("~ *** ~")
  })

  it("holds back only what may begin a secret", () => {
    const { next } = redactor(["hunter2-password"])
    const [held, shown] = next(begin, encode("Enter a value: hunter2"))
    expect(decode(shown)).toBe("Enter a value: ")
    expect(decode(next(held, encode("!"))[1])).toBe("hunter2!")
  })

  it("takes little time for each line that comes, however long its secrets are", () => {
    const key = Array.from({ length: 2000 }, (_, at) => createHash("sha384").update(`${at}`).digest("base64")).join("\n")
    const { next } = redactor([key])
    const line = encode("aws_instance.web[12]: Still creating... [10s elapsed] id=i-0123456789abcdef0 arn:aws:ec2\n")
    const hide = () => {
      for (let turn = 0, state = begin; turn < 2000; turn++) [state] = next(state, line)
    }
    expect(costOf(1, hide)).toBeLessThan(1)
  })

  it("leaves a value alone that is short without its colours", () =>
    expect(redactor(["\u001b[1mab\u001b[0m", "\u001b[1m\u001b[0m"]).text("ab cab")).toBe("ab cab"))

  it.each([{ text: "abc\u001b[0m", shown: "abc\u001b[0m" }, { text: "hunter2-password\u001b[0m", shown: "***\u001b[0m" }])(
    "keeps the colours at the end of a stream: $shown",
    ({ shown, text }) => expect(redactor(["hunter2-password"]).text(text)).toBe(shown)
  )
})
