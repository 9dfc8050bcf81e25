import { describe, expect, it } from "@effect/vitest"
import { inWords } from "../../../src/schema/document/wording.ts"

describe("a mistake in words", () => {
  it.each([
    { message: "Missing key", given: undefined, says: "is missing" },
    { message: "Expected boolean", given: "yes", says: "must be true or false, not the text \"yes\"" },
    { message: "Expected boolean", given: "hunter2", says: "must be true or false, not a text" },
    { message: "Expected boolean", given: [], says: "must be true or false, not a list" },
    { message: "Expected object", given: null, says: "must be a map of keys, not null" },
    { message: "Expected array", given: { a: 1 }, says: "must be a list, not a map of keys" },
    { message: "Expected string", given: true, says: "must be a text, not true or false; put it in quotes" },
    { message: "Expected \"\" | string", given: 1.1, says: "must be a text, not a number; put it in quotes" },
    { message: "Expected number", given: "12", says: "must be a number, not a text; leave the quotes out" },
    { message: "Expected number", given: "", says: "must be a number, not a text" },
    { message: "Expected number", given: "many", says: "must be a number, not a text" },
    { message: "Expected number | string", given: true, says: "must be a number or a text, not true or false" },
    { message: "Expected an integer", given: 1.5, says: "must be an integer" },
    { message: "Expected an integer", given: 1e30, says: "must be a smaller number" },
    { message: "Expected \"a\" | \"b\" | \"c\"", given: "d", says: "must be \"a\", \"b\" or \"c\"" },
    { message: "is given twice", given: "a", says: "is given twice" }
  ])("says of $message for $given: $says", ({ given, message, says }) => expect(inWords(message, given)).toBe(says))
})
