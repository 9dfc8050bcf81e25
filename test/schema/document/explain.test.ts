import { describe, expect, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { line, parse } from "../../../src/schema/document/explain.ts"

describe("parse", () => {
  const schema = Schema.Struct({ name: Schema.String, list: Schema.optionalKey(Schema.Array(Schema.Struct({ size: Schema.Int }))) })
  const problems = (input: unknown) => Result.match(parse(schema)(input), { onFailure: (_) => _.map(line), onSuccess: () => [] })

  it("decodes what fits", () => expect(parse(schema)({ name: "a" })).toEqual(Result.succeed({ name: "a" })))

  it("gives a line a problem, with the path as people write it", () => {
    expect(problems({ nam: "a", list: [{ size: 1 }, { size: "2", colour: "red" }] })).toEqual([
      `nam: unknown key, did you mean "name"?`,
      "name: is missing",
      "list[1].colour: unknown key; known here are size",
      "list[1].size: must be a number, not a text; leave the quotes out"
    ])
  })

  it("says that it is the whole that does not fit", () => expect(problems("text")).toEqual(["the file: must be a map of keys, not a text"]))
})
