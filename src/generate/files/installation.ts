// The installation that kustomize/base describes (the defaults, with a namespace of their own for tasks), and what other values make of it.
// Invariant: a layer here means what the same layer means in the controller's ConfigMap.
// Used by the generators.
import { Result } from "effect"
import { baseLayer, shippedRelease } from "../../core/overlay/shipped.ts"
import { resolve, type ResolvedConfig } from "../../core/resolve/resolve.ts"
import { merge, type Tree } from "../../schema/document/layers.ts"
import { parseValues } from "../../schema/values/values.ts"

export const installationOf = (layer: Tree): ResolvedConfig =>
  resolve(Result.getOrThrow(parseValues(merge(baseLayer, layer))), shippedRelease)
