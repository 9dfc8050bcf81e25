// The configuration that the controller reads from the layers in a ConfigMap that was built.
// Used by the tests of this folder and of test/gitops.
import { Result } from "effect"
import { shippedRelease } from "../../src/core/overlay/shipped.ts"
import { resolve, type ResolvedConfig } from "../../src/core/resolve/resolve.ts"
import { yamlLayer } from "../../src/schema/document/yaml-layer.ts"
import { parseLayers } from "../../src/schema/values/values.ts"
import { type Built, idOf } from "./build.ts"

export const configId = "ConfigMap agent-job/agent-job-config"

/** Reads the ConfigMap as the controller does: all its layers, in the order of their names. Throws when one is invalid. */
export const configOf = (objects: ReadonlyArray<Built>): ResolvedConfig => {
  const layers = Object.entries(objects.find((_) => idOf(_) === configId)?.["data"] as Readonly<Record<string, string>>).sort(([a], [b]) =>
    a < b ? -1 : 1
  )
  return resolve(Result.getOrThrow(parseLayers(layers.map(([name, text]) => Result.getOrThrow(yamlLayer(name, text))))), shippedRelease)
}
