// The promise of docs/crd-upgrades.md: within v1 the CRD only grows, so the present one accepts and keeps all that an earlier one did.
import { describe, expect, it } from "@effect/vitest"
import { Predicate } from "effect"
import { readFileSync } from "node:fs"
import { parse } from "yaml"
import { agentTaskOpenApi } from "../../../src/core/manifest/crd.ts"

type Node = { readonly [keyword: string]: unknown }
const nodeOf = (input: unknown): Node => Predicate.isObject(input) && !Array.isArray(input) ? { ...input } : {}
const listOf = (input: unknown): ReadonlyArray<unknown> => Array.isArray(input) ? input : []

const upperBounds = ["maxLength", "maxItems", "maxProperties", "maximum"]
const lowerBounds = ["minLength", "minItems", "minProperties", "minimum"]

/** Returns a sentence for everything that the earlier schema accepts and the later one would refuse or drop. */
const lost = (earlier: Node, later: Node, path: string): ReadonlyArray<string> => {
  const [before, after] = [nodeOf(earlier["properties"]), nodeOf(later["properties"])]
  const bound = (keyword: string, otherwise: number, wider: (later: number, earlier: number) => boolean) =>
    wider(Number(later[keyword] ?? otherwise), Number(earlier[keyword] ?? otherwise)) ? [] : [`${path}: ${keyword} is narrower`]
  return [
    ...(earlier["type"] === later["type"] ? [] : [`${path}: another type`]),
    ...(later["pattern"] === undefined || earlier["pattern"] === later["pattern"] ? [] : [`${path}: another pattern`]),
    ...listOf(later["required"]).filter((key) => !listOf(earlier["required"]).includes(key)).map((key) => `${path}: ${key} is required`),
    ...listOf(earlier["enum"]).filter((value) => later["enum"] !== undefined && !listOf(later["enum"]).includes(value)).map((value) =>
      `${path}: ${value} is no longer allowed`
    ),
    ...(earlier["enum"] === undefined && later["enum"] !== undefined ? [`${path}: only some values are allowed`] : []),
    ...upperBounds.flatMap((keyword) => bound(keyword, Infinity, (later, earlier) => later >= earlier)),
    ...lowerBounds.flatMap((keyword) => bound(keyword, -Infinity, (later, earlier) => later <= earlier)),
    ...Object.entries(before).flatMap(([key, node]) =>
      key in after ? lost(nodeOf(node), nodeOf(after[key]), `${path}.${key}`) : [`${path}.${key}: is gone`]
    ),
    ...["items", "additionalProperties"].flatMap((keyword) =>
      keyword in earlier ? lost(nodeOf(earlier[keyword]), nodeOf(later[keyword]), `${path}[]`) : []
    )
  ]
}

const earlier = nodeOf(parse(readFileSync("test/gitops/crd-v0.yaml", "utf8")).spec.versions[0].schema.openAPIV3Schema)

/**
 * Returns the rules of `spec` itself. A cancel changes `spec`, so the API server checks them again on a stored task. Rules with `oldSelf`
 * are left out, because they only compare the two specs.
 */
const rulesOfSpec = (schema: Node): ReadonlyArray<Node> =>
  listOf(nodeOf(nodeOf(schema["properties"])["spec"])["x-kubernetes-validations"]).map(nodeOf).filter(({ rule }) =>
    !String(rule).includes("oldSelf")
  )

/** Rules that no stored task can break: those of the first CRD, and those that came with the field that they are about. */
const asOldAsTheirField = [
  ...rulesOfSpec(earlier).map(({ message }) => message),
  "savePlan is for a plan whose source is archive or fluxSource",
  "source.savedPlan is for an apply or destroy without options of its own",
  "onChange: planAndApply needs savePlan, where its apply finds the plan",
  "source.fluxSource.onChange needs stage plan"
]

describe("the CRD", () => {
  it("takes all that its first version took", () => expect(lost(earlier, agentTaskOpenApi(), "AgentTask")).toEqual([]))

  it("lets every stored task be cancelled, whatever it demands of new ones", () =>
    expect(
      rulesOfSpec(agentTaskOpenApi()).filter(({ message, rule }) =>
        !asOldAsTheirField.includes(message) && !String(rule).startsWith("(has(self.cancel) && self.cancel) || ")
      )
    ).toEqual([]))

  it.each([
    { change: "a field that is gone", later: { properties: {} }, says: "it.a: is gone" },
    {
      change: "a field that must be there",
      later: { properties: { a: { type: "string", maxLength: 9 } }, required: ["a"] },
      says: "it: a is required"
    },
    {
      change: "a field that may be less long",
      later: { properties: { a: { type: "string", maxLength: 8 } } },
      says: "it.a: maxLength is narrower"
    },
    { change: "a field of another type", later: { properties: { a: { type: "integer", maxLength: 9 } } }, says: "it.a: another type" },
    {
      change: "a field with fewer values",
      later: { properties: { a: { type: "string", maxLength: 9, enum: ["x"] } } },
      says: "it.a: only some values are allowed"
    }
  ])("would be found out by $change", ({ later, says }) => {
    expect(lost({ properties: { a: { type: "string", maxLength: 9 } } }, later, "it")).toEqual([says])
  })
})
