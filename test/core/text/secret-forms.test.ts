// The spellings of a secret that are taken out of a text, beside those in URLs.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { redactor } from "../../../src/core/text/redact.ts"
import { forms, shortestSecret } from "../../../src/core/text/secret-forms.ts"

const Any = Schema.String.check(Schema.isPattern(/^[ -~\n]{6,90}$/u))

describe("forms", () => {
  it.each([
    { spelling: "as it is", printed: `token = S3cr<t"&/+ é` },
    { spelling: "in JSON", printed: JSON.stringify({ token: `S3cr<t"&/+ é` }) },
    { spelling: "in the JSON of Go", printed: `"S3cr\\u003ct\\"\\u0026/+ é"` },
    { spelling: "in JSON within JSON", printed: JSON.stringify({ body: JSON.stringify({ token: `S3cr<t"&/+ é` }) }) },
    { spelling: "in JSON within the JSON of Go", printed: String.raw`"{\"token\":\"S3cr\u003ct\\\"\u0026/+ é\"}"` },
    { spelling: "in JSON of ASCII", printed: String.raw`"S3cr<t\"&/+ \u00e9"` },
    { spelling: "in JSON of ASCII within JSON", printed: JSON.stringify(String.raw`"S3cr<t\"&/+ \u00e9"`) },
    { spelling: "in a URL", printed: `https://example.com/?t=${encodeURIComponent(`S3cr<t"&/+ é`)}` },
    { spelling: "in a form", printed: new URLSearchParams({ t: `S3cr<t"&/+ é` }).toString() },
    { spelling: "in a basic authorisation", printed: `Basic ${Buffer.from(`user:S3cr<t"&/+ é`).toString("base64")}` },
    { spelling: "in hexadecimal", printed: Buffer.from(`S3cr<t"&/+ é`).toString("hex") }
  ])("takes a secret out $spelling", ({ printed }) => {
    const shown = redactor([`S3cr<t"&/+ é`]).text(printed)
    expect(shown).toContain("***")
    for (const form of forms(`S3cr<t"&/+ é`)) expect(shown).not.toContain(form)
  })

  it("takes a secret out as it was given, and as the engine composes its letters", () => {
    const given = "pässwörd-é".normalize("NFD")
    for (const form of ["NFD", "NFC"]) expect(redactor([given]).text(`token = "${given.normalize(form)}"`)).toBe("token = \"***\"")
  })

  it.prop("finds a secret in the base64 of what is around it", [Any, Any], ([secret, around]) => {
    for (const encoding of ["base64", "base64url"] as const) {
      const shown = redactor([secret]).text(Buffer.from(`${around}${secret}${around}`).toString(encoding))
      const inner = Buffer.from(secret).toString(encoding)
      expect(shown).toContain("***")
      expect(shown.length).toBeLessThan(Buffer.from(`${around}${around}`).toString(encoding).length + 12)
      expect(shown).not.toContain(inner.slice(0, 8))
    }
  })

  it("takes out the lines of a secret that is printed with an indent", () => {
    const key = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\nAQAB\n-----END KEY-----\n"
    expect(redactor([key]).text(key.split("\n").map((line) => `    ${line}`).join("\n"))).toBe("    ***\n    ***\n    AQAB\n    ***\n    ")
  })

  it.prop("finds a secret in base64 that is wrapped as coreutils, MIME or PEM do", [Any, Schema.Literals([64, 76])], ([part, width]) => {
    const secret = part.repeat(20)
    const wrapped = Buffer.from(secret).toString("base64").replaceAll(new RegExp(`.{${width}}`, "gu"), "$&\n")
    expect(redactor([secret]).text(wrapped)).not.toMatch(/[A-Za-z0-9+/]{6}/u)
  })

  it.each(["correct\n│ horse battery", "correct horse\n│ battery", "correct horse\nbattery"])(
    "takes out a secret with blanks that an engine broke in an error: %j",
    (printed) => expect(redactor(["correct horse battery"]).text(`with "${printed}", which`)).toBe("with \"***\", which")
  )

  it("takes out a line with blanks that an engine broke in an error", () =>
    expect(redactor(["first line\ncorrect  horse"]).text("│ with correct\n│ horse")).toBe("│ with ***"))

  it("leaves the words of a secret alone", () =>
    expect(redactor(["correct horse battery"]).text("correct\n│ battery, horse battery")).toBe("correct\n│ battery, horse battery"))

  it.each([
    ["\u0001ctl\u001bz\u007f", String.raw`\x01ctl\x1bz\x7f`],
    ["\u0007\b\f\v\t\n\r", String.raw`\a\b\f\v\t\n\r`],
    ["é\u00a0z\u200b\u0085", String.raw`é\u00a0z\u200b\u0085`],
    ["a\"b\\c\u{E0001}😀", String.raw`a\"b\\c\U000e0001😀`]
  ])("takes out %j as Go quotes it", (secret, printed) => expect(redactor([secret]).text(`"${printed}"`)).toBe("\"***\""))

  it.each([`-----BEGIN KEY-----`, "MIIEowIBAAKCAQEA"])("takes out the base64 of one line of a secret: %s", (line) => {
    const shown = redactor(["-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\n-----END KEY-----\n"]).text(Buffer.from(`${line}\n`).toString("base64"))
    expect(shown).toMatch(/^\*\*\*.{0,3}$/u)
  })

  it(`leaves values under ${shortestSecret} characters alone`, () => expect(redactor(["abc", ""]).text("abcabc")).toBe("abcabc"))
})
