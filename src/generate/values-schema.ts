// The values as JSON Schema, for editors, and as the table in the README, for people; both from the one schema that decodes them.
// Called by generate/main.
import { schemaId } from "../schema/names.ts"
import { valueKeys, valuesFileDocument } from "../schema/values/values-document.ts"
import { type GeneratedFile, jsonFile, table } from "./files/file.ts"

export const valuesTable = (): ReadonlyArray<string> =>
  table(
    ["Key", "Default", "What it does"],
    valueKeys().map(({ description, fallback, key }) => [`\`${key}\``, `\`${JSON.stringify(fallback)}\``, description])
  )

export const valuesFiles = (): ReadonlyArray<GeneratedFile> => [
  jsonFile("schemas/values.schema.json", {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: schemaId("values"),
    title: "agent-job values",
    description: "A values file of agent-job. It lies over the defaults and over the files before it; null takes away what is below.",
    ...valuesFileDocument()
  })
]
