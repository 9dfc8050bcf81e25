// Which parts of a secret are hidden on their own: the texts inside a value that is a document.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { quoted } from "../../../src/core/text/hcl.ts"
import { redactor } from "../../../src/core/text/redact.ts"
import { shortestPart } from "../../../src/core/text/secret-forms.ts"
import { mostParts, secretParts } from "../../../src/core/text/secret-parts.ts"

/** A text inside a document, as an engine or a provider prints it without the rest. */
const Leaf = Schema.String.check(Schema.isPattern(/^[!-~é][ -~é\n\t]{4,60}[!-~é]$/u))
const Key = Schema.String.check(Schema.isPattern(/^[a-z]{1,3}[0-9]$/u))
const Leaves = Schema.Array(Schema.Tuple([Key, Schema.Literals(["alone", "in a list", "in an object"]), Leaf])).check(Schema.isMaxLength(6))

const pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\nAgEAAoIBAQC7VJTUt9Us8cKj\n-----END PRIVATE KEY-----\n"
const googleCredentials = JSON.stringify({
  type: "service_account",
  project_id: "shop-production",
  private_key_id: "0f1e2d3c4b5a",
  private_key: pem
})

describe("secretParts", () => {
  it.each([
    { given: "a plain value", value: "hunter2-hunter2", hcl: false, parts: [] },
    { given: "a plain value that looks like HCL", value: `user = "hunter2-hunter2"`, hcl: false, parts: [] },
    { given: "a quoted string", value: `"quoted-pass-123"`, hcl: true, parts: ["quoted-pass-123"] },
    {
      given: "JSON with the mark of its byte order",
      value: "\uFEFF{\"password\": \"hunter2-hunter2\"}",
      hcl: false,
      parts: ["hunter2-hunter2"]
    },
    { given: "a list", value: `["alpha-token-0001", "beta-token-0002",]`, hcl: true, parts: ["alpha-token-0001", "beta-token-0002"] },
    { given: "an object", value: `{ login = { password = "hunter2-hunter2" } }`, hcl: true, parts: ["hunter2-hunter2"] },
    {
      given: "quoted keys",
      value: `{ "password" = "hunter2-hunter2", "secret" : "other-secret" }`,
      hcl: true,
      parts: ["hunter2-hunter2", "other-secret"]
    },
    {
      given: "what only looks like a key",
      value: `true ? "first-secret" : "second-secret"`,
      hcl: true,
      parts: ["first-secret", "second-secret"]
    },
    { given: "what is compared", value: `"first-secret" == "second-secret"`, hcl: true, parts: ["first-secret", "second-secret"] },
    {
      given: "escapes",
      value: String.raw`"a\tb\n\"c\" \\ \u00e9 \U0001F511 ${"$${x}"} %%{y}"`,
      hcl: true,
      parts: ["a\tb\n\"c\" \\ é 🔑 ${x} %{y}"]
    },
    {
      given: "a heredoc",
      value: `{\n  key = <<-EOT\n    first line\n    "second" \\n $\${x}\n    EOT\n  next = "next-secret"\n}`,
      hcl: true,
      parts: [`    first line\n    "second" \\n \${x}\n`, "next-secret"]
    },
    {
      given: "comments",
      value: `[ # "not-a-secret"\n "alpha-token-0001", // "nor-this-one"\n /* "nor-that-one" */ "beta-token-0002" ]`,
      hcl: true,
      parts: ["alpha-token-0001", "beta-token-0002"]
    },
    { given: "what only looks like a heredoc", value: `<<EOT "first-secret"`, hcl: true, parts: ["first-secret"] },
    { given: "a heredoc in lines of Windows", value: "<<EOT\r\nfirst line\r\nEOT\r\n", hcl: true, parts: ["first line\r\n"] },
    { given: "numbers", value: `{ pin = 123456, port = 5432 }`, hcl: true, parts: ["123456"] },
    { given: "short texts", value: `["short", "longer"]`, hcl: true, parts: ["longer"] },
    {
      given: "keys of what opens nothing",
      value: `{ region = "eu-west-1", "db_name" = "production", password = "production" }`,
      hcl: true,
      parts: ["production"]
    },
    {
      given: "a list that names what opens nothing",
      value: `["password", "hunter2-hunter2"]`,
      hcl: true,
      parts: ["password", "hunter2-hunter2"]
    },
    { given: "a list after a name", value: `["username", "hunter2-hunter2"]`, hcl: true, parts: ["username", "hunter2-hunter2"] },
    { given: "an end that is missing", value: `["alpha-token-0001`, hcl: true, parts: ["alpha-token-0001"] },
    { given: "a JSON document", value: googleCredentials, hcl: false, parts: ["0f1e2d3c4b5a", pem] },
    {
      given: "a JSON list",
      value: `["alpha-token-0001", {"a": ["beta-token-0002"]}]`,
      hcl: false,
      parts: ["alpha-token-0001", "beta-token-0002"]
    },
    {
      given: "JSON numbers, as they are written",
      value: `{"account_pin": 83649271, "exact": -12345678901234567890, "small": [1.25e-17], "port": 5432, "account_id": 123456789012}`,
      hcl: false,
      parts: ["83649271", "12345678901234567890", "1.25e-17"]
    },
    {
      given: "JSON escapes",
      value: String.raw`["\"a\" \/ \ud83d\udd11\b", "$$${"{x}"} %%{y}"]`,
      hcl: false,
      parts: ["\"a\" / 🔑\b", "$${x} %%{y}"]
    },
    {
      given: "a JSON document within another",
      value: JSON.stringify({ google: JSON.stringify({ key: "inner-secret" }) }),
      hcl: false,
      parts: [`{"key":"inner-secret"}`, "inner-secret"]
    },
    {
      given: "a JSON document within HCL",
      value: `{ google = ${quoted(JSON.stringify({ key: "inner-secret" }))} }`,
      hcl: true,
      parts: [`{"key":"inner-secret"}`, "inner-secret"]
    },
    { given: "what is no document", value: "{ broken", hcl: false, parts: [] },
    { given: "what only begins as a document does", value: `[see "the manual" for that]`, hcl: false, parts: [] }
  ])("of $given are what is inside", ({ hcl, parts, value }) => expect(secretParts(value, hcl)).toEqual({ parts, isCut: false }))

  it.prop("hide every text of a JSON document", [Leaves], ([leaves]) => {
    const document = JSON.stringify(
      Object.fromEntries(
        leaves.map(([key, where, text]) => [key, where === "alone" ? text : where === "in a list" ? [text] : { [key]: text }])
      )
    )
    const { text: shown } = redactor(secretParts(document, false).parts)
    for (const text of new Map(leaves.map(([key, , text]) => [key, text])).values()) expect(shown(`= ${text} =`)).toBe("= *** =")
  })

  it.prop("hide every text of an HCL object", [Leaves], ([leaves]) => {
    const document = `{\n${
      leaves.map(([key, where, text]) =>
        `${key} = ${where === "alone" ? quoted(text) : where === "in a list" ? `[${quoted(text)}]` : `{ ${key} = ${quoted(text)} }`}\n`
      ).join("")
    }}`
    const { text: shown } = redactor(secretParts(document, true).parts)
    for (const [, , text] of leaves) expect(shown(`= ${text} =`)).toBe("= *** =")
  })

  it.each([
    {
      given: "a document within a document with very many texts",
      document: JSON.stringify([JSON.stringify(Array.from({ length: 200_000 }, () => "short"))])
    },
    { given: "deep JSON", document: "[".repeat(20_000) + "]".repeat(20_000) },
    { given: "quotes without end", document: `\\"`.repeat(50_000) },
    { given: "comments without end", document: "/*".repeat(50_000) },
    { given: "heredocs without end", document: "<<E\n".repeat(50_000) },
    { given: "a heredoc's word without a line", document: `<<${"a".repeat(400_000)}` },
    { given: "heredocs without a line", document: "<<a".repeat(200_000) }
  ])("are found in $given", ({ document }) => expect(secretParts(document, true).parts.length).toBeLessThan(2))

  it.each([
    { given: "as many", count: mostParts, isCut: false },
    { given: "one more", count: mostParts + 1, isCut: true }
  ])(`are ${mostParts} at most, and it is said if there are more: $given`, ({ count, isCut }) => {
    const inside = secretParts(JSON.stringify(Array.from({ length: count }, (_, at) => `token-${at}`)), false)
    expect(inside.parts).toHaveLength(mostParts)
    expect(inside.isCut).toBe(isCut)
  })
  it(`have at least ${shortestPart} characters`, () =>
    expect(secretParts(`["12345", "123456"]`, false)).toEqual({ parts: ["123456"], isCut: false }))
})
