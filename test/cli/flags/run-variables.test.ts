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
    ["s3cret", "A --var has no \"=\"; give it as key=value, such as --var region=eu-west-1."],
    ["", "A --var has no \"=\"; give it as key=value, such as --var region=eu-west-1."],
    ["=s3cret", "\"\" cannot be the name of a variable; use letters, digits, \"-\" and \"_\", beginning with a letter or \"_\"."],
    ["a b=s3cret=c", "\"a b\" cannot be the name of a variable; use letters, digits, \"-\" and \"_\", beginning with a letter or \"_\"."],
    ["1a=s3cret", "\"1a\" cannot be the name of a variable; use letters, digits, \"-\" and \"_\", beginning with a letter or \"_\"."]
  ])("%j is refused, and its value not repeated", (given, problem) => expect(givenVariable(given)).toEqual(Result.fail(problem)))
})
