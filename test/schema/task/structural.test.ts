import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { crd } from "../../../src/core/manifest/installation/crd.ts"
import { cel, exactlyOneOf } from "../../../src/schema/task/cel.ts"
import { structuralSchema } from "../../../src/schema/task/structural.ts"

describe("the structural schema", () => {
  it("folds what has been checked into one node, and keeps rules, descriptions and patterns", () => {
    const rule = cel<{ readonly size: number }>("self.size != 3", "three is taken", ({ size }) => size !== 3)
    expect(structuralSchema(
      Schema.Struct({
        size: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0), Schema.isLessThanOrEqualTo(9)).annotate({ description: "How big." }),
        name: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^a/u), Schema.isMaxLength(3))),
        labels: Schema.optionalKey(Schema.Record(Schema.String, Schema.String.check(Schema.isMaxLength(5))))
      }).check(rule)
    )).toEqual({
      type: "object",
      properties: {
        size: { type: "integer", minimum: 0, maximum: 9, description: "How big." },
        name: { type: "string", pattern: "^a", maxLength: 3 },
        labels: { type: "object", additionalProperties: { type: "string", maxLength: 5 } }
      },
      required: ["size"],
      "x-kubernetes-validations": [{ rule: "self.size != 3", message: "three is taken" }]
    })
  })

  it("has a rule in the place of a choice between objects", () => {
    const fields = { a: Schema.optionalKey(Schema.Struct({})), b: Schema.optionalKey(Schema.String) }
    expect(structuralSchema(Schema.Struct(fields).check(exactlyOneOf(fields)))["x-kubernetes-validations"]).toEqual([
      { rule: "[has(self.a), has(self.b)].filter(x, x).size() == 1", message: "exactly one of a, b is required" }
    ])
  })

  it("refuses what a CRD cannot say", () => {
    expect(() => structuralSchema(Schema.Struct({ a: Schema.Union([Schema.Struct({ b: Schema.String }), Schema.Int]) }))).toThrow(
      "the schema.a is not structural"
    )
    expect(() => structuralSchema(Schema.Struct({ a: Schema.Tuple([Schema.String, Schema.Int]) }))).toThrow(
      "the schema.a is not structural"
    )
  })
})

describe("the CRD", () => {
  it("says nothing that a CRD may not", () => {
    expect(JSON.stringify(crd())).not.toMatch(/"(?:anyOf|allOf|oneOf|\$ref|not)"/u)
  })
})
