// Reads and changes one key of a tree of values, named as in the table of the values: "task.runner.image".
// Used by core/resolve/inheritance, core/migration and core/overlay.
import { isTree, type Tree, valueAt } from "../../schema/document/layers.ts"

export const get = (tree: Tree, key: string): unknown => valueAt(tree, key.split("."))

/** Returns the text at the key, or an empty one if there is none. */
export const textAt = (tree: Tree, key: string): string => {
  const value = get(tree, key)
  return typeof value === "string" ? value : ""
}

/** Returns the map at the key, or an empty one if there is none. */
export const treeAt = (tree: Tree, key: string): Tree => {
  const value = get(tree, key)
  return isTree(value) ? value : {}
}

const removed = (tree: Tree, [first = "", ...rest]: ReadonlyArray<string>): Tree => {
  const { [first]: inside, ...others } = tree
  if (rest.length === 0) return others
  if (!isTree(inside)) return tree
  const left = removed(inside, rest)
  return Object.keys(left).length === 0 ? others : { ...tree, [first]: left }
}

/** Returns the tree without the key. A map that becomes empty goes with it. */
export const without = (tree: Tree, key: string): Tree => removed(tree, key.split("."))

const replaced = (tree: Tree, [first = "", ...rest]: ReadonlyArray<string>, value: unknown): Tree => {
  const inside = tree[first]
  return { ...tree, [first]: rest.length === 0 ? value : replaced(isTree(inside) ? inside : {}, rest, value) }
}

/** Returns the tree with this value at the key, whatever was there before. */
export const withValue = (tree: Tree, key: string, value: unknown): Tree => replaced(tree, key.split("."), value)
