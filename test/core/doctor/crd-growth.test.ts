// The promise of docs/crd-upgrades.md: within v1 the CRD only grows, so the present one accepts and keeps all that an earlier one did.
import { describe, expect, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { parse } from "yaml"
import { compared, listOf, lost, type Node, nodeOf, otherRules } from "../../../src/core/doctor/crd-growth.ts"
import { agentTaskOpenApi, crd } from "../../../src/core/manifest/installation/crd.ts"

const earlier = nodeOf(parse(readFileSync("test/gitops/crd-v0.yaml", "utf8")).spec.versions[0].schema.openAPIV3Schema)

/** What has landed since, by the path of each part: a copy that only grows, so that also what is newer than the first CRD stays. */
const landed = nodeOf(parse(readFileSync("test/golden/crd-landed.yaml", "utf8")))

/** Returns the parts of a schema with their paths, each without the parts below it. */
const partsOf = ({ additionalProperties, items, properties, ...own }: Node, path: string): ReadonlyArray<readonly [string, Node]> => [
  [path, own],
  ...Object.entries(nodeOf(properties)).flatMap(([key, part]) => partsOf(nodeOf(part), `${path}.${key}`)),
  ...[items, additionalProperties].filter((part) => part !== undefined).flatMap((part) => partsOf(nodeOf(part), `${path}[]`))
]

const lostParts = (earlier: Node, later: Node): ReadonlyArray<string> =>
  Object.entries(earlier).flatMap(([path, part]) =>
    path in later ? lost(nodeOf(part), nodeOf(later[path]), path) : [`${path}: is not there`]
  )

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
  it("takes all that its first version took", () => expect(lost(earlier, nodeOf(agentTaskOpenApi()), "AgentTask")).toEqual([]))

  it("takes all that has landed since, which test/golden/crd-landed.yaml has whole", () => {
    const now = Object.fromEntries(partsOf(nodeOf(agentTaskOpenApi()), "AgentTask"))
    expect(lostParts(landed, now), "Stored tasks may have what is missing here; go on taking it.").toEqual([])
    expect(lostParts(now, landed), "This is new; write it into test/golden/crd-landed.yaml by hand, so that it stays.").toEqual([])
  })

  it("would be found out by what is newer than the first version, if that were gone", () =>
    expect(lostParts(landed, Object.fromEntries(partsOf(earlier, "AgentTask")))).toEqual(expect.arrayContaining([
      "AgentTask.spec.savePlan: is not there",
      "AgentTask.status.reason: SourceNotReady is not allowed",
      "AgentTask.status.result.stateDigest: is not there"
    ])))

  it("lets every stored task be cancelled, whatever it demands of new ones", () =>
    expect(
      rulesOfSpec(nodeOf(agentTaskOpenApi())).filter(({ message, rule }) =>
        !asOldAsTheirField.includes(message) && !String(rule).startsWith("(has(self.cancel) && self.cancel) || ")
      )
    ).toEqual([]))

  it.each([
    { change: "a field that is gone", later: { properties: {} }, says: "it.a: is not there" },
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

  it("would be found out by another default or list type, and not by a default that sets more", () => {
    const [none, one, two, more] = [{}, { default: { a: 1 } }, { default: { a: 2 } }, { default: { a: 1, b: 1 } }]
    const [map, set] = [{ "x-kubernetes-list-type": "map" }, { "x-kubernetes-list-type": "set" }]
    expect(
      [[one, one], [none, one], [one, more], [one, two], [one, none], [map, set]].map(([earlier = {}, later = {}]) =>
        lost(earlier, later, "it")
      )
    )
      .toEqual([[], [], [], ["it: another default"], ["it: another default"], ["it: another x-kubernetes-list-type"]])
  })

  it("would be found out by another pattern or a higher bound, and not by a pattern or a bound that is gone", () => {
    const [none, letters, digits] = [{}, { pattern: "^[a-z]$" }, { pattern: "^[0-9]$" }]
    const [one, two] = [{ minimum: 1 }, { minimum: 2 }]
    expect(
      [[letters, letters], [letters, none], [none, letters], [letters, digits], [two, one], [one, none], [one, two], [none, one]].map((
        [earlier = {}, later = {}]
      ) => lost(earlier, later, "it"))
    ).toEqual([[], [], ...Array(2).fill(["it: another pattern"]), [], [], ...Array(2).fill(["it: minimum is narrower"])])
  })

  it("that a cluster has is compared in the version that is served, with its status", () => {
    const { spec } = crd()
    const [version] = listOf(nodeOf(spec)["versions"]).map(nodeOf)
    const other = (change: object) => compared({ ...spec, versions: [{ name: "v0", served: true }, { ...version, ...change }] }).lacks
    expect([other({}), other({ served: false }), other({ name: "v2" }), other({ subresources: {} })]).toEqual([
      [],
      ["v1 is not served"],
      ["v1 is not served"],
      ["v1 has no subresource status"]
    ])
  })

  it("would not be found out by a rule that is written anew", () => {
    const saying = (rule: string) => ({ "x-kubernetes-validations": [{ rule, message: "once" }] })
    expect(lost(saying("a"), saying("b"), "it")).toEqual([])
    expect([otherRules(saying("a"), saying("a"), "it"), otherRules(saying("a"), saying("b"), "it")]).toEqual([[], ["it: once"]])
    expect(otherRules({ properties: { a: saying("a") } }, { properties: { a: saying("b") } }, "it")).toEqual(["it.a: once"])
  })

  it("would be found out by a rule that is gone, and not by one whose message has more words", () => {
    const saying = (...messages: ReadonlyArray<string>) => ({ "x-kubernetes-validations": messages.map((message) => ({ message })) })
    expect(lost(saying("one of a, b", "once"), saying("one of a, c, b"), "it")).toEqual(["it: no rule says: once"])
  })
})
