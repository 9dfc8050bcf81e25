import { describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { runVariable } from "../../src/cli/run-variables.ts"

describe("--var", () => {
  it.each([
    ["greeting=goodbye", "greeting", "\"goodbye\""],
    ["count=3", "count", "\"3\""],
    ["empty=", "empty", "\"\""],
    ["url=a=b=c", "url", "\"a=b=c\""],
    ["motto=say \"hi\" to C:\\", "motto", "\"say \\\"hi\\\" to C:\\\\\""],
    ["template=${name} and %{ if x }", "template", "\"$${name} and %%{ if x }\""],
    ["lines=a\nb\tc", "lines", "\"a\\nb\\tc\""],
    ["bell=\u0007", "bell", "\"\\u0007\""],
    ["zones=[\"a\", \"b\"]", "zones", "[\"a\", \"b\"]"],
    ["tags={ a = 1 }", "tags", "{ a = 1 }"],
    ["quoted=\"${upper(\\\"x\\\")}\"", "quoted", "\"${upper(\\\"x\\\")}\""],
    ["with-dash_1=x", "with-dash_1", "\"x\""]
  ])("%j sets %s to %s", (given, key, value) => expect(runVariable(given)).toEqual(Result.succeed({ key, value })))
  it.each([
    ["greeting", "--var takes key=value, not \"greeting\""],
    ["=x", "--var takes key=value, not \"=x\""],
    ["", "--var takes key=value, not \"\""],
    ["a b=x", "--var a b: a variable's name has letters, digits, \"-\" and \"_\" only"],
    ["1a=x", "--var 1a: a variable's name has letters, digits, \"-\" and \"_\" only"]
  ])("%j is refused", (given, problem) => expect(runVariable(given)).toEqual(Result.fail(problem)))
})
