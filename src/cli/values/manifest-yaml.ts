// Prints manifests so that a YAML 1.1 parser, as Kubernetes' tools have, reads the same, without broken lines and without aliases.
// Used by cli/commands/render and by generate, so that what is generated is what render prints.
import { stringify } from "yaml"

export const manifestYaml = (data: unknown): string => stringify(data, { compat: "yaml-1.1", lineWidth: 0, aliasDuplicateObjects: false })
