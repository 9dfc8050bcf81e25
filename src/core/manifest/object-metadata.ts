// The metadata of an installation's objects: name, namespace, our labels, and the labels and annotations that the values give all of them.
// Invariant: a label of ours is never overridden.
// Used by most builders of an installation's objects; the CRD, admission policies, Jobs and Pods have metadata of their own.
import type { V1ObjectMeta } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { type Component, labels } from "./labels.ts"

interface Own {
  readonly name: string
  readonly namespace: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

/** Returns the metadata of an object. Its own labels and annotations override those that the values give all objects. */
export const objectMetadata = (config: ResolvedConfig, component: Component, { name, namespace, ...own }: Own): V1ObjectMeta => {
  const annotations = { ...config.objectAnnotations, ...own.annotations }
  return {
    name,
    namespace,
    labels: { ...config.objectLabels, ...own.labels, ...labels(config, component) },
    ...(Object.keys(annotations).length > 0 && { annotations })
  }
}
