// The schemas that kubeconform needs, made from what an API server publishes of its kinds and CRDs: nothing is downloaded.
// Used by linters.long.test.ts.
import { Predicate } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"

type Node = { readonly [keyword: string]: unknown }
const isNode = (input: unknown): input is Node => Predicate.isObject(input) && !Array.isArray(input)

/** The names of definitions whose value is text or a number, whatever their schema says. */
const either = /(?:IntOrString|\.Quantity)$/u

/** Keywords whose content is data and not a schema. */
const asItIs = new Set(["enum", "default", "required"])

/** Returns a schema that refuses unknown keys, and takes null for an absent value as the API server does. */
const strict = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(strict)
  if (!isNode(schema)) return schema
  if (typeof schema["$ref"] === "string") return { $ref: schema["$ref"] }
  if (schema["x-kubernetes-int-or-string"] === true || schema["format"] === "int-or-string") return { type: ["string", "integer", "null"] }
  const { format: _, ...rest } = schema
  const open = schema["x-kubernetes-preserve-unknown-fields"] === true || schema["additionalProperties"] !== undefined
  return {
    ...Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, asItIs.has(key) ? value : strict(value)])),
    ...(isNode(schema["properties"]) && !open && { additionalProperties: false }),
    ...(typeof schema["type"] === "string" && { type: [schema["type"], "null"] })
  }
}

const references = (schema: unknown): ReadonlyArray<string> =>
  [...JSON.stringify(schema).matchAll(/"#\/definitions\/([^"]+)"/gu)].map(([, name = ""]) => name)

/** Returns the names of all definitions that a schema refers to, directly or by way of others. */
const needed = (all: Node, schema: unknown, seen = new Set<string>()): ReadonlySet<string> => {
  for (const name of references(schema)) if (!seen.has(name)) needed(all, all[name], seen.add(name))
  return seen
}

/** Writes a file for each kind. Returns the template of the file names for kubeconform. */
export const writeSchemas = (openApi: unknown, directory: string): string => {
  const definitions = isNode(openApi) && isNode(openApi["definitions"]) ? openApi["definitions"] : {}
  const all = Object.fromEntries(
    Object.entries(definitions).map(([name, schema]) => [name, either.test(name) ? { type: ["string", "number", "null"] } : strict(schema)])
  )
  for (const [name, definition] of Object.entries(definitions)) {
    const kinds = isNode(definition) ? definition["x-kubernetes-group-version-kind"] : undefined
    const [of, ...others] = Array.isArray(kinds) ? kinds : []
    if (!isNode(of) || others.length > 0) continue // several kinds share this definition, such as DeleteOptions
    const schema = all[name]
    const { group, kind, version } = of
    const file = `${group === "" ? version : group}_${version}_${String(kind).toLowerCase()}.json` // kubeconform takes the core group for a group with the name v1
    writeFileSync(
      join(directory, file),
      JSON.stringify({ ...(isNode(schema) && schema), definitions: Object.fromEntries([...needed(all, schema)].map((_) => [_, all[_]])) })
    )
  }
  return join(directory, "{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json")
}
