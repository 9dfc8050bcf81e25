// Converts a Schema to the structural OpenAPI v3 that a CustomResourceDefinition must have, and refuses what that cannot say.
// Descriptions, defaults, bounds and CEL rules are kept; references are written out.
// Used by core/manifest/installation/crd.
import { JsonSchema, Predicate, Schema } from "effect"

/** A node of OpenAPI v3, as far as a CRD may use it. */
export interface Structural {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly items?: Structural
  readonly properties?: Readonly<Record<string, Structural>>
  readonly required?: ReadonlyArray<string>
  readonly additionalProperties?: Structural
  readonly "x-kubernetes-validations"?: ReadonlyArray<{ readonly rule: string; readonly message: string }>
  readonly [keyword: string]: unknown
}

type Node = { readonly [keyword: string]: unknown }
const isNode = (input: unknown): input is Node => Predicate.isObject(input)
const nodes = (input: unknown): ReadonlyArray<Node> => Array.isArray(input) ? input.filter(isNode) : []

/** Returns the strictest of several bounds. The bounds of safe integers are left out, because they say nothing. */
const bound = (all: ReadonlyArray<Node>, keyword: "minimum" | "maximum", sharpest: (...values: Array<number>) => number) => {
  const values = all.map((_) => _[keyword]).filter((_): _ is number => typeof _ === "number" && Math.abs(_) !== Number.MAX_SAFE_INTEGER)
  return values.length === 0 ? {} : { [keyword]: sharpest(...values) }
}

/** Folds `allOf`, since its branches may not carry types, and refuses unions, references and tuples. */
const structural = ({ allOf, ...self }: Node, path: string): Structural => {
  const all = [self, ...nodes(allOf)]
  const {
    $ref,
    additionalProperties,
    anyOf,
    items,
    maximum: _maximum,
    minimum: _minimum,
    not,
    properties,
    "x-kubernetes-validations": _rules,
    ...rest
  }: Node = Object.assign({}, ...all)
  if ($ref !== undefined || anyOf !== undefined || Array.isArray(items)) {
    throw new Error(`${path} is not structural: ${JSON.stringify(self)}`)
  }
  const rules = all.flatMap((_) => nodes(_["x-kubernetes-validations"]))
  return {
    ...(not !== undefined && { type: "object" }), // Struct({}) is "anything but null"
    ...rest,
    ...bound(all, "minimum", Math.max),
    ...bound(all, "maximum", Math.min),
    ...(rules.length > 0 &&
      { "x-kubernetes-validations": rules.map(({ message, rule }) => ({ rule: String(rule), message: String(message) })) }),
    ...(isNode(items) && { items: structural(items, `${path}[]`) }),
    ...(isNode(properties) && {
      properties: Object.fromEntries(Object.entries(properties).map(([key, _]) => [key, structural(isNode(_) ? _ : {}, `${path}.${key}`)]))
    }),
    ...(properties === undefined && isNode(additionalProperties) && { additionalProperties: structural(additionalProperties, `${path}.*`) })
  }
}

/** Returns the structural form of a schema. Throws if it has none: a fault of the program, found when its CRD is generated. */
export const structuralSchema = (schema: Schema.Constraint): Structural =>
  structural(
    JsonSchema.toDocumentDraft04(Schema.toJsonSchemaDocument(schema, {
      includeAnnotationKey: (key) => key.startsWith("x-kubernetes-"),
      referencePolicy: () => undefined
    })).schema,
    "the schema"
  )
