// Compares the schemas of two CRDs: what the earlier one accepts, keeps and promises that the later one would not.
// Within v1 the CRD only grows, so that nothing is lost from one version to the next (docs/crd-upgrades.md).
// Used by cli/doctor/doctor-objects, which asks it of this program's CRD and the cluster's, and by the test of the promise.
import { Predicate } from "effect"
import { agentTaskResource } from "../../../schema/names.ts"
import { agentTaskOpenApi } from "./crd.ts"

export type Node = { readonly [keyword: string]: unknown }
export const nodeOf = (input: unknown): Node => Predicate.isObject(input) && !Array.isArray(input) ? { ...input } : {}
export const listOf = (input: unknown): ReadonlyArray<unknown> => Array.isArray(input) ? input : []

const upperBounds = ["maxLength", "maxItems", "maxProperties", "maximum"]
const lowerBounds = ["minLength", "minItems", "minProperties", "minimum"]

const messagesOf = (schema: Node): ReadonlyArray<string> =>
  listOf(schema["x-kubernetes-validations"]).map((rule) => String(nodeOf(rule)["message"]))
const wordsOf = (message: string): ReadonlyArray<string> => message.match(/[\w.]+/gu) ?? []

/** Reports whether a rule with this message says as much as another. A message that lists what there is has more words in a later CRD. */
const saysAsMuch = (other: string) => (message: string): boolean => {
  const words = wordsOf(message)
  return wordsOf(other).every((word) => words.includes(word))
}

/** Returns a sentence for everything that the earlier schema has and the later one has not. */
export const lost = (earlier: Node, later: Node, path: string): ReadonlyArray<string> => {
  const [before, after] = [nodeOf(earlier["properties"]), nodeOf(later["properties"])]
  const bound = (keyword: string, otherwise: number, wider: (later: number, earlier: number) => boolean) =>
    wider(Number(later[keyword] ?? otherwise), Number(earlier[keyword] ?? otherwise)) ? [] : [`${path}: ${keyword} is narrower`]
  return [
    ...(earlier["type"] === later["type"] ? [] : [`${path}: another type`]),
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
    ...Object.entries(before).flatMap(([key, node]) =>
      key in after ? lost(nodeOf(node), nodeOf(after[key]), `${path}.${key}`) : [`${path}.${key}: is not there`]
    ),
    ...["items", "additionalProperties"].flatMap((keyword) =>
      keyword in earlier ? lost(nodeOf(earlier[keyword]), nodeOf(later[keyword]), `${path}[]`) : []
    )
  ]
}

/** Returns a sentence for everything that this program needs and a definition with this `spec` lacks. */
export const lackingIn = (spec: unknown): ReadonlyArray<string> => {
  const { kind, version: name } = agentTaskResource
  const version = listOf(nodeOf(spec)["versions"]).map(nodeOf).find((_) => _["name"] === name && _["served"] === true)
  if (version === undefined) return [`${name} is not served`]
  return [
    ...("status" in nodeOf(version["subresources"]) ? [] : [`${name} has no subresource status`]),
    ...lost(nodeOf(agentTaskOpenApi()), nodeOf(nodeOf(version["schema"])["openAPIV3Schema"]), kind)
  ]
}
