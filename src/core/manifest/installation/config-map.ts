// The ConfigMap with the controller's values file, as the YAML a person would have written: only what differs from the defaults.
// Invariant: it contains no token, and reading it gives the same configuration again.
// Used by core/manifest/installation/install, core/manifest/installation/deployment, and by overlays and generate, which write layers the same way.
import type { V1ConfigMap } from "@kubernetes/client-node"
import { isTree, type Tree } from "../../../schema/document/layers.ts"
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { yamlJson } from "../../text/yaml-json.ts"
import { objectMetadata } from "../object-metadata.ts"

export const configMapName = ({ name }: Pick<ResolvedConfig, "name">): string => `${name}-config`

const isBranch = (value: unknown): value is Tree => isTree(value) && Object.keys(value).length > 0
const key = (name: string): string => /^[A-Za-z][\w./-]*$/u.test(name) ? name : yamlJson(name)

/** Returns the tree as YAML: maps as indented blocks, everything else as JSON, which is YAML too. */
export const layerText = (tree: Tree, indent = ""): string =>
  Object.entries(tree).map(([name, value]) =>
    isBranch(value) ? `${indent}${key(name)}:\n${layerText(value, `${indent}  `)}` : `${indent}${key(name)}: ${yamlJson(value)}\n`
  ).join("")

export const valuesFile = ({ controllerValues }: ResolvedConfig): string => layerText(controllerValues) || "{}\n"

export const configMap = (config: ResolvedConfig): V1ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: objectMetadata(config, "controller", { name: configMapName(config), namespace: config.namespace }),
  data: { "values.yaml": valuesFile(config) }
})
