// Values in layers: how one tree of data is laid over another, how two differ, and which layer is answerable for a key.
// Invariant: a later layer wins. Layers merge as in Helm: maps key by key, lists and single values as a whole, and null takes a key away.
// Used by schema/values/values and by the code that reads or writes values files.
import { Predicate } from "effect"

/** Data of a YAML file. */
export type Tree = { readonly [key: string]: unknown }
export const isTree = (input: unknown): input is Tree => Predicate.isObject(input)

/** A path from the root of a tree down: keys of maps and indices of lists. */
export type Path = ReadonlyArray<PropertyKey>

/** Line and column, from 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** Returns a place as editors and terminals know it: `file:line:column`. */
export const at = (file: string, { column, line }: Place): string => `${file}:${line}:${column}`

/** One values file. */
export interface Layer {
  /** The name that people know the layer by: that of its file. */
  readonly name: string
  readonly tree: Tree
  /** Returns where a key is in the file. If the file does not have the key, it returns the place of the nearest key around it. */
  readonly place: (path: Path) => Place
}

const sameData = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

const keysOf = (a: Tree, b: Tree): ReadonlyArray<string> => [...new Set([...Object.keys(a), ...Object.keys(b)])]

/** Returns what must be merged over `below` to get `above`. */
export const difference = (below: Tree, above: Tree): Tree =>
  Object.fromEntries(
    keysOf(below, above).flatMap((key) => {
      const [under, over] = [below[key], above[key]]
      if (!Object.hasOwn(above, key)) return [[key, null]]
      if (!isTree(under) || !isTree(over)) return sameData(under, over) ? [] : [[key, over]]
      const inside = difference(under, over)
      return Object.keys(inside).length === 0 ? [] : [[key, inside]]
    })
  )

export const merge = (below: Tree, above: Tree): Tree =>
  Object.fromEntries(
    keysOf(below, above).flatMap((key) => {
      if (!Object.hasOwn(above, key)) return [[key, below[key]]]
      const over = above[key]
      if (over === null) return []
      const under = below[key]
      return [[key, isTree(over) ? merge(isTree(under) ? under : {}, over) : over]]
    })
  )

/** Returns the keys of both trees as one layer. What `above` says counts, and null stays null. */
export const union = (below: Tree, above: Tree): Tree => ({
  ...below,
  ...Object.fromEntries(
    Object.entries(above).map(([key, over]) => {
      const under = below[key]
      return [key, isTree(under) && isTree(over) ? union(under, over) : over]
    })
  )
})

/** Returns the values at the ends of a tree: lists, single values, and maps without keys. */
export const leaves = (node: unknown, path: Path = []): ReadonlyArray<{ readonly path: Path; readonly value: unknown }> =>
  isTree(node) && (path.length === 0 || Object.keys(node).length > 0)
    ? Object.entries(node).flatMap(([key, value]) => leaves(value, [...path, key]))
    : [{ path, value: node }]

const child = (node: unknown, key: PropertyKey): { readonly value: unknown } | undefined => {
  if (Array.isArray(node)) return typeof key === "number" && key < node.length ? { value: node[key] } : undefined
  return isTree(node) && typeof key === "string" && Object.hasOwn(node, key) ? { value: node[key] } : undefined
}

/** Returns the value at a path, or undefined if there is none. */
export const valueAt = (node: unknown, path: Path): unknown => path.reduce<unknown>((inner, key) => child(inner, key)?.value, node)

/**
 * What one layer does to a key: sets it, hides what layers below say of it (by a list, a single value or null on the way there), or leaves
 * it as it is.
 */
export type Saying =
  | { readonly says: "this"; readonly value: unknown }
  | { readonly says: "instead"; readonly at: Path }
  | { readonly says: "nothing" }

export const saying = (tree: Tree, path: Path): Saying => {
  let node: unknown = tree
  let whole = false // whether the node is within a list, which is replaced as a whole
  for (const [depth, key] of path.entries()) {
    const next = child(node, key)
    if (next === undefined) return isTree(node) && !whole ? { says: "nothing" } : { says: "instead", at: path.slice(0, depth) }
    whole ||= Array.isArray(node)
    node = next.value
  }
  return { says: "this", value: node }
}

/**
 * Returns the layer that is answerable for a key, and the place in it: the last layer that sets or hides the key, or else the key around
 * it.
 */
export const answerable = (
  layers: ReadonlyArray<Layer>,
  path: Path
): { readonly index: number; readonly name: string; readonly place?: Place } => {
  for (let depth = path.length; depth >= 0; depth--) {
    const key = path.slice(0, depth)
    const index = layers.findLastIndex(({ tree }) => saying(tree, key).says !== "nothing")
    const layer = layers[index]
    if (layer !== undefined) return { index, name: layer.name, place: layer.place(key) }
  }
  return { index: -1, name: "the values" }
}
