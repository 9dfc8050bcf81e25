// How manifests are printed: the same to a YAML 1.1 parser, which Kubernetes' tools have, long texts unbroken and nothing by reference.
// Used by cli/commands/render and by generate, so that what is generated is what render prints.
import { stringify } from "yaml"

export const manifestYaml = (data: unknown): string => stringify(data, { compat: "yaml-1.1", lineWidth: 0, aliasDuplicateObjects: false })
