// Finds what turns one list of Kubernetes objects into another: strategic merge patches, and objects to add.
// Law: `kustomize build` of the patches over `from` gives `to`, except for the order of volumes, mounts and the like, which means nothing.
// Used by generate/files/component and core/overlay.
import { Equal } from "effect"
import { isTree, type Tree } from "../../schema/document/layers.ts"

const isList = (input: unknown): input is ReadonlyArray<unknown> => Array.isArray(input)

/** Lists that a patch changes element by element, and the field that identifies an element, from Kubernetes' schema of a Pod. */
const mergeKeys = {
  containers: "name",
  env: "name",
  hostAliases: "ip",
  imagePullSecrets: "name",
  initContainers: "name",
  volumeMounts: "mountPath",
  volumes: "name"
} as const

type Keyed = keyof typeof mergeKeys
const isKeyed = (field: string): field is Keyed => Object.hasOwn(mergeKeys, field)

/**
 * Reports whether the list's key is several fields, some of which may be left out. Such a list is replaced as a whole, since merging it is
 * not worth the trouble.
 */
const hasSeveralKeys = (field: string): boolean => ["ports", "topologySpreadConstraints"].includes(field)

/** Reports whether the order of the list matters: `$(NAME)` sees the variables before it, and init containers start one after the other. */
const isOrdered = (field: string): boolean => ["containers", "env", "initContainers"].includes(field)

/** Returns what the patch says about a field that is in both, or undefined if it says nothing. */
const change = (field: string, from: unknown, to: unknown): unknown => {
  if (isList(from) && isList(to)) return listChange(field, from, to)
  if (!isTree(from) || !isTree(to)) return from === to ? undefined : to
  const inside = treePatch(from, to)
  return Object.keys(inside).length === 0 ? undefined : inside
}

const treePatch = (from: Tree, to: Tree): Tree =>
  Object.fromEntries(
    [...new Set([...Object.keys(to), ...Object.keys(from)])]
      .map((field) => [field, Object.hasOwn(to, field) ? change(field, from[field], to[field]) : null] as const)
      .filter(([, inside]) => inside !== undefined)
  )

type Elements = ReadonlyMap<unknown, Tree>

/** Returns the elements by their key, or undefined if the keys do not tell them apart. */
const elementsOf = (field: Keyed, list: ReadonlyArray<unknown>): Elements | undefined => {
  const elements = new Map(list.filter(isTree).map((element) => [element[mergeKeys[field]], element]))
  return elements.size === list.length && !elements.has(undefined) ? elements : undefined
}

const listChange = (field: string, from: ReadonlyArray<unknown>, to: ReadonlyArray<unknown>): ReadonlyArray<unknown> | undefined => {
  if (Equal.equals(from, to)) return undefined
  if (hasSeveralKeys(field)) return [{ $patch: "replace" }, ...to]
  if (!isKeyed(field)) return to
  const [before, after] = [elementsOf(field, from), elementsOf(field, to)]
  if (before === undefined || after === undefined) return [{ $patch: "replace" }, ...to]
  const patch = elementsPatch(field, before, after)
  return patch.length === 0 ? undefined : patch
}

const elementsPatch = (field: Keyed, from: Elements, to: Elements): ReadonlyArray<Tree> => {
  const inside = new Map([...to].map(([key, element]) => [key, change(field, from.get(key), element)]))
  const changed = [...inside].filter(([, patch]) => patch !== undefined).map(([key]) => key)
  const named = isOrdered(field) ? leading([...from.keys()], [...to.keys()], changed) : changed
  const patchOf = (key: unknown): Tree => {
    const patch = inside.get(key)
    return { [mergeKeys[field]]: key, ...(isTree(patch) && patch) }
  }
  return [
    ...named.map(patchOf),
    ...[...from.keys()].filter((key) => !to.has(key)).map((key) => ({ [mergeKeys[field]]: key, $patch: "delete" }))
  ]
}

/**
 * Returns the keys that the patch has to name. A patch puts the elements that it names first, in its own order, so it names the first ones
 * of `to` until the rest follows by itself.
 */
const leading = (from: ReadonlyArray<unknown>, to: ReadonlyArray<unknown>, changed: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  const restFollows = (count: number): boolean => {
    const rest = to.slice(count)
    return !rest.some((key) => changed.includes(key)) && Equal.equals(rest, from.filter((key) => rest.includes(key)))
  }
  return to.slice(0, [...to.keys(), to.length].find(restFollows))
}

interface KubernetesObject {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata?: { readonly name?: string; readonly namespace?: string }
}

/** Returns the fields by which a patch finds its object. */
const target = ({ apiVersion, kind, metadata: { name, namespace } = {} }: KubernetesObject) => ({
  apiVersion,
  kind,
  metadata: { name, ...(namespace !== undefined && { namespace }) }
})

const same = (a: KubernetesObject) => (b: KubernetesObject): boolean => Equal.equals(target(a), target(b))

const objectPatch = (from: KubernetesObject, to: KubernetesObject): ReadonlyArray<Tree> => {
  const patch = change("", from, to)
  if (!isTree(patch)) return []
  const whose = target(to)
  return [{ ...whose, ...patch, metadata: { ...whose.metadata, ...(isTree(patch["metadata"]) && patch["metadata"]) } }]
}

export interface Changes<A> {
  /** Strategic merge patches, one per changed object. A patch with `$patch: delete` removes its object. */
  readonly patches: ReadonlyArray<object>
  readonly added: ReadonlyArray<A>
}

export const changesBetween = <A extends KubernetesObject>(from: ReadonlyArray<A>, to: ReadonlyArray<A>): Changes<A> => ({
  patches: from.flatMap((object) => {
    const found = to.find(same(object))
    return found === undefined ? [{ ...target(object), $patch: "delete" }] : objectPatch(object, found)
  }),
  added: to.filter((object) => !from.some(same(object)))
})
