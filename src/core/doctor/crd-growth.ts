// Compares the schemas of two CRDs: what the earlier one accepts, keeps and promises that the later one would not.
// Within v1 the CRD only grows, so that nothing is lost from one version to the next (docs/crd-upgrades.md).
// Used by cli/doctor/doctor-objects, which asks it of this program's CRD and the cluster's, and by the test of the promise.
import { Equal, Predicate } from "effect"
import { agentTaskResource } from "../../schema/names.ts"
import { agentTaskOpenApi } from "../manifest/installation/crd.ts"

export type Node = { readonly [keyword: string]: unknown }
export const nodeOf = (input: unknown): Node => Predicate.isObject(input) && !Array.isArray(input) ? { ...input } : {}
export const listOf = (input: unknown): ReadonlyArray<unknown> => Array.isArray(input) ? input : []

const upperBounds = ["maxLength", "maxItems", "maxProperties", "maximum"]
const lowerBounds = ["minLength", "minItems", "minProperties", "minimum"]
/** What has to be the same, because another value means something else. */
const meanings = ["type", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"]

const rulesOf = (schema: Node): ReadonlyArray<Node> => listOf(schema["x-kubernetes-validations"]).map(nodeOf)
const messagesOf = (schema: Node): ReadonlyArray<string> => rulesOf(schema).map(({ message }) => String(message))
const wordsOf = (message: string): ReadonlyArray<string> => message.match(/[\w.]+/gu) ?? []

/** Reports whether a rule with this message says as much as another. A message that lists what there is has more words in a later CRD. */
const saysAsMuch = (other: string) => (message: string): boolean => {
  const words = wordsOf(message)
  return wordsOf(other).every((word) => words.includes(word))
}

/** Reports whether a later CRD sets what an earlier one sets; its default may set more, as a field may. */
const keepsDefault = (earlier: unknown, later: unknown): boolean =>
  earlier === undefined || Equal.equals(earlier, later) ||
  (Predicate.isObject(earlier) && Object.entries(earlier).every(([key, value]) => Equal.equals(value, nodeOf(later)[key])))

/** Returns the parts that two schemas have both, each pair with its path. */
const parts = (earlier: Node, later: Node, path: string): ReadonlyArray<readonly [Node, Node, string]> => {
  const [before, after] = [nodeOf(earlier["properties"]), nodeOf(later["properties"])]
  return [
    ...Object.keys(before).filter((key) => key in after).map((key) => [nodeOf(before[key]), nodeOf(after[key]), `${path}.${key}`] as const),
    ...["items", "additionalProperties"].filter((keyword) => keyword in earlier).map((keyword) =>
      [nodeOf(earlier[keyword]), nodeOf(later[keyword]), `${path}[]`] as const
    )
  ]
}

/**
 * Returns a sentence for everything that the earlier schema has and the later one has not. A rule may be written anew within v1, so long as
 * it takes what it took; its message tells which one it is.
 */
export const lost = (earlier: Node, later: Node, path: string): ReadonlyArray<string> => {
  const bound = (keyword: string, otherwise: number, wider: (later: number, earlier: number) => boolean) =>
    wider(Number(later[keyword] ?? otherwise), Number(earlier[keyword] ?? otherwise)) ? [] : [`${path}: ${keyword} is narrower`]
  return [
    ...meanings.filter((keyword) => !Equal.equals(earlier[keyword], later[keyword])).map((keyword) => `${path}: another ${keyword}`),
    ...(keepsDefault(earlier["default"], later["default"]) ? [] : [`${path}: another default`]),
    ...(later["pattern"] === undefined || earlier["pattern"] === later["pattern"] ? [] : [`${path}: another pattern`]),
    ...listOf(later["required"]).filter((key) => !listOf(earlier["required"]).includes(key)).map((key) => `${path}: ${key} is required`),
    ...listOf(earlier["enum"]).filter((value) => later["enum"] !== undefined && !listOf(later["enum"]).includes(value)).map((value) =>
      `${path}: ${value} is not allowed`
    ),
    ...(earlier["enum"] === undefined && later["enum"] !== undefined ? [`${path}: only some values are allowed`] : []),
    ...messagesOf(earlier).filter((message) => !messagesOf(later).some(saysAsMuch(message))).map((message) =>
      `${path}: no rule says: ${message}`
    ),
    ...upperBounds.flatMap((keyword) => bound(keyword, Infinity, (later, earlier) => later >= earlier)),
    ...lowerBounds.flatMap((keyword) => bound(keyword, -Infinity, (later, earlier) => later <= earlier)),
    ...Object.keys(nodeOf(earlier["properties"])).filter((key) => !(key in nodeOf(later["properties"]))).map((key) =>
      `${path}.${key}: is not there`
    ),
    ...parts(earlier, later, path).flatMap((_) => lost(..._))
  ]
}

/** Returns the place and message of every rule that says something else in the other schema under the same message. */
export const otherRules = (one: Node, other: Node, path: string): ReadonlyArray<string> => [
  ...rulesOf(one).filter(({ message, rule }) => {
    const same = rulesOf(other).filter((_) => _["message"] === message)
    return same.length > 0 && same.every((_) => _["rule"] !== rule)
  }).map(({ message }) => `${path}: ${String(message)}`),
  ...parts(one, other, path).flatMap((_) => otherRules(..._))
]

/** A definition beside this program's own: what it lacks that the program needs, and which of its rules may mean something else. */
export interface Comparison {
  readonly lacks: ReadonlyArray<string>
  readonly otherRules: ReadonlyArray<string>
}

/** Compares a definition with this `spec` with this program's own. */
export const compared = (spec: unknown): Comparison => {
  const { kind, version: name } = agentTaskResource
  const version = listOf(nodeOf(spec)["versions"]).map(nodeOf).find((_) => _["name"] === name && _["served"] === true)
  if (version === undefined) return { lacks: [`${name} is not served`], otherRules: [] }
  const schemas = [nodeOf(agentTaskOpenApi()), nodeOf(nodeOf(version["schema"])["openAPIV3Schema"]), kind] as const
  return {
    lacks: [...("status" in nodeOf(version["subresources"]) ? [] : [`${name} has no subresource status`]), ...lost(...schemas)],
    otherRules: otherRules(...schemas)
  }
}
