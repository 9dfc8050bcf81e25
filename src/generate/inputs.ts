// What a component asks of whoever uses it: literals of a ConfigMap that is never applied, put by kustomize wherever they belong.
// Invariant: each is said once, by the user; the layer has it where its example stands.
// Used by generate/component.
import { configMapName, layerText } from "../core/manifest/config-map.ts"
import type { ResolvedConfig } from "../core/resolve.ts"
import type { Tree } from "../schema/layers.ts"

export interface Input {
  readonly literal: string
  /** As the component has it, to be replaced. */
  readonly example: string
  /** Where else than in the layer, as targets of a replacement. */
  readonly elsewhere?: ReadonlyArray<object>
}

/** Between the quotes of the layer's text, counted from its beginning. */
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
