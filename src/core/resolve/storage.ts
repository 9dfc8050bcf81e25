// The cache of providers and engines that the Pods of tasks share, as the values want it: a directory of each node, a volume claim, or none.
// Invariant: a volume claim is made only if the values name neither an existing claim nor a directory of the node.
// Used by core/resolve/resolve, and as a type in core/manifest.
import type { V1Volume } from "@kubernetes/client-node"
import type { Values } from "../../schema/values/values.ts"
import { text } from "./plain.ts"

export interface CacheConfig {
  readonly volume: Pick<V1Volume, "hostPath" | "persistentVolumeClaim">
  /** The directory in the volume, without a slash at its ends. Empty: the whole volume. */
  readonly subPath: string
  /** The volume claim to make; absent when there is none to make. `storageClassName` absent: the cluster's default. */
  readonly claim?: { readonly name: string; readonly accessMode: string; readonly storage: string; readonly storageClassName?: string }
}

/** Returns the cache, or undefined if the values ask for none. `name` is that of the installation. */
export const cacheOf = (
  { enabled, hostPath: { path, type }, persistentVolumeClaim }: Values["persistence"],
  name: string
): CacheConfig | undefined => {
  if (path !== "") return { volume: { hostPath: { path, ...(type !== "" && { type }) } }, subPath: "" }
  if (!enabled) return undefined
  const { accessMode, claimName, storage, storageClassName, subPath } = persistentVolumeClaim
  const made = `${name}-cache`
  const place = { volume: { persistentVolumeClaim: { claimName: claimName || made } }, subPath: subPath.replace(/^\/+|\/+$/gu, "") }
  if (claimName !== "") return place
  const storageClass = storageClassName === "" ? {} : { storageClassName: storageClassName === "-" ? "" : storageClassName }
  return { ...place, claim: { name: made, accessMode, storage: text(storage), ...storageClass } }
}
