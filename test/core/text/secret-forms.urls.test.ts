// Secrets in URLs: each program leaves other signs as they are, and what any of them writes is taken out, however the stream is cut.
// Go and Python are modelled here; a table of what they really print holds the models to it.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { begin, type Redactor, redactor } from "../../../src/core/text/redact.ts"

const bytesOf = (text: string) => [...new TextEncoder().encode(text)]

/** Returns a program that writes the bytes that `leaves` names, and letters and digits, as they are. */
const leaving = (leaves: string, space = "%20") => (text: string): string =>
  bytesOf(text).map((byte) => {
    const sign = String.fromCharCode(byte)
    if (sign === " ") return space
    return byte < 128 && (/[A-Za-z0-9]/u.test(sign) || leaves.includes(sign))
      ? sign
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`
  }).join("")

const printable = String.fromCharCode(...Array.from({ length: 95 }, (_, at) => at + 32))

/** The model of each program, and what the program printed for all printable letters of ASCII and an é. */
const models = {
  "Go's url.UserPassword": {
    write: leaving("-_.~$&+,;="),
    real: "%20%21%22%23$%25&%27%28%29%2A+,-.%2F0123456789%3A;%3C=%3E%3F%40ABCDEFGHIJKLMNOPQRSTUVWXYZ" +
      "%5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%C3%A9"
  },
  "Go's url.PathEscape": {
    write: leaving("-_.~$&+:=@"),
    real: "%20%21%22%23$%25&%27%28%29%2A+%2C-.%2F0123456789:%3B%3C=%3E%3F@ABCDEFGHIJKLMNOPQRSTUVWXYZ" +
      "%5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%C3%A9"
  },
  "the path of Go's url.URL": {
    write: leaving("-_.~$&+,/:;=@"),
    real: "%20%21%22%23$%25&%27%28%29%2A+,-./0123456789:;%3C=%3E%3F@ABCDEFGHIJKLMNOPQRSTUVWXYZ" +
      "%5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%C3%A9"
  },
  "the fragment of Go's url.URL": {
    write: leaving("-_.~$&+,/:;=?@!()*"),
    real: "%20!%22%23$%25&%27()*+,-./0123456789:;%3C=%3E?@ABCDEFGHIJKLMNOPQRSTUVWXYZ" +
      "%5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%C3%A9"
  },
  "Go's url.QueryEscape and Python's quote_plus": {
    write: leaving("-_.~", "+"),
    real: "+%21%22%23%24%25%26%27%28%29%2A%2B%2C-.%2F0123456789%3A%3B%3C%3D%3E%3F%40ABCDEFGHIJKLMNOPQRSTUVWXYZ" +
      "%5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%C3%A9"
  },
  "Python's quote": {
    write: leaving("-_.~/"),
    real: "%20%21%22%23%24%25%26%27%28%29%2A%2B%2C-./0123456789%3A%3B%3C%3D%3E%3F%40ABCDEFGHIJKLMNOPQRSTUVWXYZ" +
      "%5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%C3%A9"
  },
  "Python's quote with nothing safe": {
    write: leaving("-_.~"),
    real: "%20%21%22%23%24%25%26%27%28%29%2A%2B%2C-.%2F0123456789%3A%3B%3C%3D%3E%3F%40ABCDEFGHIJKLMNOPQRSTUVWXYZ" +
      "%5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%C3%A9"
  }
}

const password = (text: string): string => {
  const url = new URL("https://host")
  url.password = text
  return url.password
}

/** What writes a URL, by name. */
const programs: ReadonlyArray<readonly [string, (text: string) => string]> = [
  ...Object.entries(models).map(([name, { write }]) => [name, write] as const),
  ["encodeURI", encodeURI],
  ["encodeURIComponent", encodeURIComponent],
  ["URLSearchParams", (text) => new URLSearchParams({ t: text }).toString().slice("t=".length)],
  ["the password of a URL", password]
]

const lowercase = (url: string): string => url.replaceAll(/%[0-9A-F]{2}/gu, (found) => found.toLowerCase())
const asGoJson = (url: string): string => url.replaceAll("&", String.raw`\u0026`)

const Printable = Schema.String.check(Schema.isPattern(/^[!-~é€😀][ -~é€😀]{2,90}[!-~é€😀]$/u))

const inTwo = ({ end, next }: Redactor, text: string, at: number): string => {
  const bytes = Buffer.from(text)
  const [state, shown] = next(begin, bytes.subarray(0, at))
  const [last, more] = next(state, bytes.subarray(at))
  return Buffer.concat([shown, more, end(last)]).toString()
}

describe("a model", () => {
  it.each(Object.entries(models))("writes what is printed by %s", (_, { real, write }) => expect(write(`${printable}é`)).toBe(real))
})

describe("a secret in a URL", () => {
  describe.each(programs)("written by %s", (_, write) => {
    it.prop("is masked, with nothing of it left, also in two chunks", [
      Printable,
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 }))
    ], (
      [secret, cut]
    ) => {
      const given = redactor([secret])
      for (const url of [write(secret), lowercase(write(secret)), asGoJson(write(secret))]) {
        expect(given.text(url)).toBe("***")
        expect(inTwo(given, url, cut % (url.length + 1))).toBe("***")
      }
    })

    it.prop("is masked without the white space around it, and where it is one line of several", [Printable], ([secret]) => {
      for (const given of [`${secret}\n`, ` ${secret}\r\n`]) expect(redactor([given]).text(write(secret))).toBe("***")
      if (secret.length >= 6) expect(redactor([`first line\n${secret}\nlast line\n`]).text(write(secret))).toBe("***")
    })
  })

  it.each([
    { secret: "ab+/cd==ef12", printed: "postgres://u:ab+%2Fcd==ef12@h", shown: "postgres://u:***@h" },
    { secret: "ab+/cd==ef12", printed: "https://h/ab+%2Fcd==ef12/x", shown: "https://h/***/x" },
    { secret: "ab+/cd==ef12", printed: "https://h/ab%2B/cd%3D%3Def12", shown: "https://h/***" },
    { secret: "p@ss&word=1", printed: "postgres://u:p%40ss&word=1@h", shown: "postgres://u:***@h" },
    { secret: "p@ssw0rd!\n", printed: "postgres://u:p%40ssw0rd%21@h", shown: "postgres://u:***@h" }
  ])("is masked alone: $printed", ({ printed, secret, shown }) => expect(redactor([secret]).text(printed)).toBe(shown))
})

describe("a secret with a line's end", () => {
  it.prop("is masked without it in hexadecimal and base64", [Printable, Schema.Literals(["", "u", "u:"])], ([secret, before]) => {
    const given = redactor([`${secret}\n`])
    const bytes = Buffer.from(secret)
    for (const hex of [bytes.toString("hex"), bytes.toString("hex").toUpperCase()]) expect(given.text(hex)).toBe("***")
    for (const encoding of ["base64", "base64url"] as const) {
      const written = Buffer.from(before + secret).toString(encoding)
      expect(given.text(written).length).toBeLessThanOrEqual(redactor([secret]).text(written).length)
    }
  })

  it("hides no text that is too short without it", () => expect(redactor(["ab\n\n"]).text("ab 6162 YWI %61%62")).toBe("ab 6162 YWI %61%62"))
})
