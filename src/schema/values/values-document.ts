// The values as JSON Schema, for editors: what a file that is laid over the defaults may say, and what every key means.
// Invariant: it refuses nothing that the decoder accepts. The decoder also refuses what one key must not say because of another.
// Used by generate, and by core/resolve/provenance to explain a key.
import { Schema } from "effect"
import { isTree, type Tree } from "../document/layers.ts"
import { saysNothing } from "./null-values.ts"
import { Sections } from "./value-sections.ts"

/** A part of a JSON Schema. */
export type Node = Tree

export const part = (node: Node, keyword: "additionalProperties" | "items" | "properties", key?: string): Node | undefined => {
  const found = key === undefined ? node[keyword] : isTree(node[keyword]) ? node[keyword][key] : undefined
  return isTree(found) ? found : undefined
}

const nodes = (node: Node, keyword: "anyOf"): ReadonlyArray<Node> => Array.isArray(node[keyword]) ? node[keyword].filter(isTree) : []
const texts = (node: Node, keyword: "required"): ReadonlyArray<string> =>
  Array.isArray(node[keyword]) ? node[keyword].filter((_) => typeof _ === "string") : []

const documentOf = (schema: Schema.Top): Node =>
  Schema.toJsonSchemaDocument(schema, { onExcessProperty: "error", referencePolicy: () => undefined }).schema

/** Returns the JSON Schema of complete values. */
export const valuesDocument = (): Node => documentOf(Sections)

const orNull = (node: Node): Node => {
  if ("anyOf" in node) return { ...node, anyOf: [...nodes(node, "anyOf"), { type: "null" }] }
  if (typeof node["type"] !== "string") return node
  return { ...node, type: [node["type"], "null"], ...(Array.isArray(node["enum"]) && { enum: [...node["enum"], null] }) }
}

/** Reports whether null may stand for a key. Values have a key that `decoded` requires, so null must mean something there: see null-values. */
const mayBeNull = (key: string, node: Node, decoded: Node | undefined): boolean =>
  decoded === undefined || !texts(decoded, "required").includes(key) || node["type"] === "object" || saysNothing(node["default"])

/**
 * Returns the JSON Schema of what may be laid over `below`: a required key may be missing if `below` has it, and most other keys may be
 * null. Lists are replaced as a whole, so nothing changes inside of them. `decoded` describes what becomes of the node.
 */
const overlaid = (node: Node, decoded: Node | undefined, below: unknown): Node => {
  const required = texts(node, "required")
  const properties = isTree(node["properties"]) ? node["properties"] : {}
  const within = (key: string, inner: Node): Node =>
    overlaid(
      inner,
      decoded && part(decoded, "properties", key),
      "default" in inner ? inner["default"] : isTree(below) ? below[key] : undefined
    )
  const missing = required.filter((key) => !(isTree(below) && Object.hasOwn(below, key)))
  const { required: _, ...rest } = node
  return {
    ...rest,
    ...(isTree(node["properties"]) && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([key, inner]) => {
          if (!isTree(inner)) return [key, inner]
          const isNullable = !required.includes(key) && mayBeNull(key, inner, decoded)
          return [key, isNullable ? orNull(within(key, inner)) : within(key, inner)]
        })
      )
    }),
    ...(missing.length > 0 && { required: missing }),
    ...(isTree(node["additionalProperties"]) &&
      { additionalProperties: orNull(overlaid(node["additionalProperties"], undefined, undefined)) })
  }
}

/**
 * Returns the JSON Schema of one file: keys that have a value below may be missing, and null takes away what is below, except for a key that
 * needs a value.
 */
export const valuesFileDocument = (): Node => orNull(overlaid(valuesDocument(), documentOf(Schema.toType(Sections)), undefined))

export interface ValueKey {
  readonly key: string
  readonly fallback: unknown
  readonly description: string
}

/** Returns every key that has a default of its own, in alphabetical order. */
export const valueKeys = (node: Node = valuesDocument(), path = ""): ReadonlyArray<ValueKey> =>
  "default" in node
    ? [{ key: path, fallback: node["default"], description: String(node["description"]) }]
    : Object.entries(isTree(node["properties"]) ? node["properties"] : {}).sort(([a], [b]) => a < b ? -1 : 1)
      .flatMap(([key, inner]) => isTree(inner) ? valueKeys(inner, path === "" ? key : `${path}.${key}`) : [])
