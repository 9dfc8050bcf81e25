// Prints YAML so that a YAML 1.1 parser, as Kubernetes' tools have, reads the same, without broken lines and without aliases.
// Used by generate, so that what is generated is what render prints, by cli/terminal/answer, cli/values/overlay-files and cli/bundle/bundle.
import { type DocumentOptions, type ScalarTag, type SchemaOptions, stringify } from "yaml"
import { unreadable, yamlJson } from "../../core/text/yaml-json.ts"

/** Numbers of Go's own, such as 0B1, 1e_3 and -_1, which Kubernetes' tools read as well. Only the test is used, to quote such a text. */
const numberOfGo: ScalarTag = {
  tag: "tag:yaml.org,2002:int",
  default: true,
  test: /^[-+]?(?:0_*[box][-+_\da-f]+|[\d_.]+e[-+_\d]+)$|^[-+]_[\d_.]+$/iu,
  resolve: (text) => text
}

/** A number that core/text/exact-json.ts has read, with all its digits. */
const exactNumber: ScalarTag = {
  tag: "tag:yaml.org,2002:float",
  default: true,
  identify: JSON.isRawJSON,
  resolve: (text) => text,
  stringify: ({ value }) => JSON.stringify(value)
}

const misread = new RegExp(`^\\n*\\t|^[ \\n]+$|${unreadable.source}`, "u")

/** A text that kubectl refuses, or reads as another one, unless it is in double quotes and one line. kustomize refuses some even so. */
const quotedText: ScalarTag = {
  tag: "tag:yaml.org,2002:str",
  default: true,
  identify: (value) => typeof value === "string" && misread.test(value),
  resolve: (text) => text,
  stringify: ({ value }) => yamlJson(value)
}

export const readAlike: DocumentOptions & SchemaOptions & { readonly aliasDuplicateObjects: false } = {
  compat: "yaml-1.1",
  customTags: (tags) => [quotedText, ...tags, numberOfGo, exactNumber],
  aliasDuplicateObjects: false
}

export const manifestYaml = (data: unknown): string => stringify(data, { ...readAlike, lineWidth: 0 })
