// The part of a Kubernetes object that every kind shares, and where an object is.
// Payloads stay `unknown` here: the code that reads one decodes it with a schema of its own.
// Used by everything that speaks to the API server.
import { Predicate } from "effect"

export interface OwnerReference {
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
}

/**
 * Metadata as the API server returns it. A stored object always has a name, a UID and a resource version, and a namespace if its kind is
 * namespaced.
 */
export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid: string
  readonly resourceVersion: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: ReadonlyArray<OwnerReference>
  readonly finalizers?: ReadonlyArray<string>
  /** Often half of an object, and of no use here; informers drop it. */
  readonly managedFields?: unknown
}

/** An object as read; everything but the metadata is unchecked. */
export interface KubernetesObject {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata: ObjectMeta
  readonly [field: string]: unknown
}

/** The metadata that a write needs; kind and API version come from the `Kind`. */
export interface Writable {
  readonly metadata: {
    readonly name?: string | undefined
    readonly namespace?: string | undefined
    readonly uid?: string | undefined
    readonly resourceVersion?: string | undefined
  }
}

/** One page of a list; `continue` asks for the next one and is absent on the last. */
export interface Page {
  readonly items: ReadonlyArray<KubernetesObject>
  /** The version from which a watch goes on. */
  readonly resourceVersion: string
  readonly continue: string | undefined
}

export type WatchEvent =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: KubernetesObject }
  /** `whole` means that every object that existed at the beginning of the watch has been sent. */
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string; readonly whole: boolean }

/** Where one object is; it has no namespace if its kind is cluster-scoped. */
export interface NamespacedName {
  readonly namespace?: string | undefined
  readonly name: string
}

/** The name of an object within its kind: "namespace/name", or "/name" without a namespace. */
export const keyOf = ({ name, namespace }: NamespacedName): string => `${namespace ?? ""}/${name}`

/** Reports whether a decoded JSON value is a stored object: it has a name, a UID and a resource version. */
export const isStoredObject = (value: unknown): value is KubernetesObject =>
  Predicate.hasProperty(value, "metadata") &&
  ["name", "uid", "resourceVersion"].every((field) =>
    Predicate.hasProperty(value.metadata, field) && typeof value.metadata[field] === "string"
  )
