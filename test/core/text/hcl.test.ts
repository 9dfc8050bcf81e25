// Text as HCL; what the engine makes of it is tested with the engine itself.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { expressionOf, quoted } from "../../../src/core/text/hcl.ts"

describe("quoted", () => {
  it.prop("is one line in which nothing is evaluated", [Schema.String], ([text]) => {
    const literal = quoted(text)
    expect(literal).not.toMatch(/[\n\r]/u)
    expect(literal.slice(1, -1).replaceAll("$${", "_").replaceAll("%%{", "_").replaceAll(/\\./gu, "_")).not.toMatch(/"|\$\{|%\{/u)
  })
  it.each([
    { text: `say "hi"`, literal: `"say \\"hi\\""` },
    { text: "${var.x} and %{ if true }", literal: `"$\${var.x} and %%{ if true }"` },
    { text: "a\\b\nc\td", literal: `"a\\\\b\\nc\\td"` },
    { text: "\u0007\u007f", literal: `"\\u0007\\u007f"` },
    { text: "é $ % {", literal: `"é $ % {"` }
  ])("of $text is $literal", ({ literal, text }) => expect(quoted(text)).toBe(literal))
})

describe("expressionOf", () => {
  it.each([
    { typed: "goodbye", expression: `"goodbye"` },
    { typed: "3", expression: `"3"` },
    { typed: "", expression: `""` },
    { typed: "${name}", expression: `"$\${name}"` },
    { typed: "bell \u0007", expression: `"bell \\u0007"` },
    { typed: `["a", "b"]`, expression: `["a", "b"]` },
    { typed: "{ a = 1 }", expression: "{ a = 1 }" },
    { typed: ` "\${upper("x")}"`, expression: ` "\${upper("x")}"` }
  ])("of $typed is $expression", ({ expression, typed }) => expect(expressionOf(typed)).toBe(expression))
})
