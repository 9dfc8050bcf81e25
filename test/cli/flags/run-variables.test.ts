import { describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { givenVariable } from "../../../src/cli/flags/run-variables.ts"

describe("--var", () => {
  it("of bytes that are not UTF-8, in whose place Node has U+FFFD, is refused and not repeated", () =>
    expect(givenVariable("password=caf\uFFFD")).toEqual(
      Result.fail("A --var is not UTF-8, or has U+FFFD in it; give it as UTF-8, or in base64 where what reads it can take that.")
    ))
  it.each([
    ["greeting=goodbye", "greeting", "goodbye"],
    ["empty=", "empty", ""],
    ["url=a=b=c", "url", "a=b=c"],
    ["with-dash_1= x ", "with-dash_1", " x "]
  ])("%j sets %s to %j", (given, key, value) => expect(givenVariable(given)).toEqual(Result.succeed({ key, value })))
  it.each([
    ["greeting", "--var takes key=value, not \"greeting\""],
    ["=x", "--var takes key=value, not \"=x\""],
    ["", "--var takes key=value, not \"\""],
    ["a b=x", "--var a b: a variable's name has letters, digits, \"-\" and \"_\" only"],
    ["1a=x", "--var 1a: a variable's name has letters, digits, \"-\" and \"_\" only"]
  ])("%j is refused", (given, problem) => expect(givenVariable(given)).toEqual(Result.fail(problem)))
})
