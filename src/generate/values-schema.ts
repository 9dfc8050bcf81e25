// The values as JSON Schema, for editors, and as tables, for people; both from the one schema that decodes them.
// Called by generate/main.
import { Predicate, Schema } from "effect"
import { Values } from "../schema/values.ts"
import { type GeneratedFile, jsonFile, markdownFile, table } from "./file.ts"

type Node = { readonly [keyword: string]: unknown }
const isNode = (input: unknown): input is Node => Predicate.isObject(input)

const document = (): Node => Schema.toJsonSchemaDocument(Values, { onExcessProperty: "error", referencePolicy: () => undefined }).schema

export interface ValueKey {
  readonly key: string
  readonly fallback: unknown
  readonly description: string
}

/** Every key that has a default of its own, in alphabetical order. */
export const valueKeys = (node: Node = document(), path = ""): ReadonlyArray<ValueKey> =>
  "default" in node
    ? [{ key: path, fallback: node["default"], description: String(node["description"]) }]
    : Object.entries(isNode(node["properties"]) ? node["properties"] : {}).sort(([a], [b]) => a < b ? -1 : 1)
      .flatMap(([key, child]) => isNode(child) ? valueKeys(child, path === "" ? key : `${path}.${key}`) : [])

export const valuesTable = (): ReadonlyArray<string> =>
  table(["Key", "Default", "What it does"], valueKeys().map(({ description, fallback, key }) => [`\`${key}\``, `\`${JSON.stringify(fallback)}\``, description]))

const inheritance = [
  "# Values",
  "",
  "What a values file may say. It is YAML; what it leaves out keeps its default. Maps are merged key by key over the defaults, lists and",
  "single values replace them, `null` takes a key away. A key that is not here is an error that names the nearest one.",
  "",
  "- `global` reaches every container, `agent` the controller and the worker, never the runner, which is the user's own image.",
  "- Images and security contexts of controller and worker fall back to those of `agent`: images field by field, security contexts as a whole.",
  "- Of variables and annotations given twice, the nearer one wins: global, then agent, then the container or Pod itself.",
  "- `agent-job render --values FILE` prints what comes of it, without a cluster.",
  ""
]

export const valuesFiles = (): ReadonlyArray<GeneratedFile> => [
  jsonFile("schemas/values.schema.json", { $schema: "https://json-schema.org/draft/2020-12/schema", title: "agent-job values", ...document() }),
  markdownFile("docs/values.md", [...inheritance, ...valuesTable()])
]
