// The inputs of a component: literals of a ConfigMap that is never applied, which kustomize copies to wherever they belong.
// Invariant: the user gives each input once. It takes the place of its example in the layer.
// Used by generate/files/component.
import { configMapName, layerText } from "../../core/manifest/installation/config-map.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import type { Tree } from "../../schema/document/layers.ts"

export interface Input {
  readonly literal: string
  /** The value that the component has, to be replaced. */
  readonly example: string
  /** Where else the input belongs than in the layer, as targets of a replacement. */
  readonly elsewhere?: ReadonlyArray<object>
}

/** Returns the places of an example in the layer's text. Quotes split the text into pieces, and `index` counts these from 0. */
const inLayer = (config: ResolvedConfig, file: string, text: string, example: string): ReadonlyArray<object> =>
  text.split(`"`).flatMap((piece, index) =>
    piece !== example ? [] : [{
      select: { kind: "ConfigMap", name: configMapName(config), namespace: config.namespace },
      fieldPaths: [`data.${file.replaceAll(".", "\\.")}`],
      options: { delimiter: `"`, index }
    }]
  )

export const replacements = (
  config: ResolvedConfig,
  of: { readonly name: string; readonly layer?: Tree; readonly inputs?: ReadonlyArray<Input> }
): ReadonlyArray<object> =>
  (of.inputs ?? []).map(({ elsewhere = [], example, literal }) => ({
    source: { kind: "ConfigMap", name: `${config.name}-${of.name}`, fieldPath: `data.${literal}` },
    targets: [...inLayer(config, `${of.name}.yaml`, layerText(of.layer ?? {}), example), ...elsewhere]
  }))
