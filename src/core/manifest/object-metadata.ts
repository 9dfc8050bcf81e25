// What every object of an installation is called and marked with: its name and place, our labels, and what the values want on all of them.
// Invariant: a label of ours is never overridden.
// Used by every builder beside it.
import type { V1ObjectMeta } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../resolve.ts"
import { type Component, labels } from "./labels.ts"

interface Own {
  readonly name: string
  readonly namespace: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

/** Own labels and annotations win over those of all objects. */
export const objectMetadata = (config: ResolvedConfig, component: Component, { name, namespace, ...own }: Own): V1ObjectMeta => {
  const annotations = { ...config.objectAnnotations, ...own.annotations }
  return {
    name,
    namespace,
    labels: { ...config.objectLabels, ...own.labels, ...labels(config, component) },
    ...(Object.keys(annotations).length > 0 && { annotations })
  }
}
