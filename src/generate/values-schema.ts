// The values as JSON Schema, for editors, and as tables, for people; both from the one schema that decodes them.
// Called by generate/main.
import { schemaId } from "../schema/names.ts"
import { valueKeys, valuesFileDocument } from "../schema/values/values-document.ts"
import { type GeneratedFile, jsonFile, markdownFile, table } from "./files/file.ts"

export const valuesTable = (): ReadonlyArray<string> =>
  table(
    ["Key", "Default", "What it does"],
    valueKeys().map(({ description, fallback, key }) => [`\`${key}\``, `\`${JSON.stringify(fallback)}\``, description])
  )

const inheritance = [
  "# Values",
  "",
  "What a values file may say. It is YAML; what it leaves out keeps its default. Maps are merged key by key over the defaults, lists and",
  "single values replace them, `null` takes a key away. A key that is not here is an error that names the nearest one.",
  "",
  "What `null` takes away of a security context or of `resources` stays away, and so does either as a whole. A key that needs a value refuses",
  "it, and a section, such as `agent` or `task.job`, has its defaults again. What a key falls back to elsewhere stays: take that away there.",
  "Pod Security \"restricted\" refuses Pods without `allowPrivilegeEscalation` or `capabilities` in a container, or without `runAsNonRoot` or",
  "`seccompProfile` in both the container and the Pod: take these away only where whoever admits the Pods adds them, as OpenShift does.",
  "",
  "- `global` reaches every container, `agent` the controller and the worker, never the runner, which is the user's own image.",
  "- Images and security contexts of controller and worker fall back to those of `agent`: images field by field, security contexts as a whole.",
  "- Of variables, labels and annotations given twice, the nearer one wins: global, then agent, then the container or Pod itself.",
  "- `agent-job render --values FILE` prints what comes of it, without a cluster. `--values` may be repeated, or name a directory: a later file lies over an earlier one.",
  "- Editors complete and check keys by `schemas/values.schema.json`: begin a file with `# yaml-language-server: $schema=PATH-OR-URL-OF-IT`.",
  ""
]

export const valuesFiles = (): ReadonlyArray<GeneratedFile> => [
  jsonFile("schemas/values.schema.json", {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: schemaId("values"),
    title: "agent-job values",
    description: "A values file of agent-job. It lies over the defaults and over the files before it; null takes away what is below.",
    ...valuesFileDocument()
  }),
  markdownFile("docs/values.md", [...inheritance, ...valuesTable()])
]
