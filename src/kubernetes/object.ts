// The part of a Kubernetes object that every kind shares, and where an object is.
// Payloads stay `unknown` here: whoever reads one decodes it with a schema of its own.
// Used by everything that speaks to the API server.
import { Predicate } from "effect"

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

/** Metadata as the API server returns it: these four are always there for a stored object, but the namespace only where one applies. */
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

/** What a write needs to know of an object; kind and version come from the `Kind`. */
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
  /** Where a watch goes on from. */
  readonly resourceVersion: string
  readonly continue: string | undefined
}

export type WatchEvent =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: KubernetesObject }
  /** `whole`: every object that there was has been sent by now. */
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string; readonly whole: boolean }

/** One object; no namespace for a cluster-scoped kind. */
export interface Place {
  readonly namespace?: string | undefined
  readonly name: string
}

/** The name of an object within its kind: "namespace/name", or "/name" without a namespace. */
export const keyOf = ({ name, namespace }: Place): string => `${namespace ?? ""}/${name}`

/** Whether a decoded JSON value is a stored object: a name, a UID and a resource version. */
export const isObject = (value: unknown): value is KubernetesObject =>
  Predicate.hasProperty(value, "metadata") &&
  ["name", "uid", "resourceVersion"].every((field) =>
    Predicate.hasProperty(value.metadata, field) && typeof value.metadata[field] === "string"
  )
