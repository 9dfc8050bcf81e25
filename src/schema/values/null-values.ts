// What null does to a key that the values cannot be without: a section has its defaults again, a map is empty, anything else is refused.
// Invariant: a key that null takes away is absent or says nothing, unless it is a section or a mistake here.
// Used by schema/values/values.ts, schema/values/values-document.ts, core/migration/release-values.ts and cli/commands/config-validate.ts.
import { SchemaAST } from "effect"
import type { Mistake } from "../document/explain.ts"
import { isTree, type Layer, leaves, merge, type Path, saying, type Tree, valueAt } from "../document/layers.ts"
import { Sections } from "./value-sections.ts"

const root = SchemaAST.toType(Sections.ast)

const fieldOf = (ast: SchemaAST.AST | undefined, key: PropertyKey): SchemaAST.AST | undefined =>
  ast?._tag === "Objects" ? ast.propertySignatures.find(({ name }) => name === key)?.type : undefined

/** Reports whether a map has no key that the values cannot be without. */
const mayBeEmpty = (ast: SchemaAST.AST): boolean =>
  ast._tag === "Objects" && ast.propertySignatures.every(({ type }) => SchemaAST.isOptional(type))

/** Returns what comes in the place of the keys that null takes away in the tree. `usual` is what the defaults have there. */
const instead = (ast: SchemaAST.AST | undefined, tree: Tree, usual: unknown): Tree =>
  Object.fromEntries(
    Object.entries(tree).flatMap(([key, over]): ReadonlyArray<readonly [string, unknown]> => {
      const field = fieldOf(ast, key)
      const fallback = isTree(usual) ? usual[key] : undefined
      if (field === undefined) return []
      if (over === null) return SchemaAST.isOptional(field) || fallback === undefined ? [] : [[key, mayBeEmpty(field) ? {} : fallback]]
      const inside = isTree(over) ? instead(field, over, fallback) : {}
      return Object.keys(inside).length === 0 ? [] : [[key, inside]]
    })
  )

/** Returns layers of values over the defaults. */
export const overDefaults = (defaults: Tree, trees: ReadonlyArray<Tree>): Tree =>
  trees.reduce((below, tree) => merge(merge(below, tree), instead(root, tree, defaults)), defaults)

/** Reports whether a default is as good as no value: an empty text, list or map, or false. */
export const saysNothing = (value: unknown): boolean =>
  value === undefined || value === "" || value === false || (typeof value === "object" && Object.keys(value ?? {}).length === 0)

const isNeeded = (defaults: Tree, path: Path): boolean => {
  const field = path.reduce<SchemaAST.AST | undefined>(fieldOf, root)
  return field !== undefined && field._tag !== "Objects" && !SchemaAST.isOptional(field) && !saysNothing(valueAt(defaults, path))
}

/** Returns the paths of the keys that a file sets to null, and so takes away. */
export const takenAway = (tree: Tree): ReadonlyArray<Path> => leaves(tree).filter(({ value }) => value === null).map(({ path }) => path)

/** Returns a mistake for each key that must have a value, and of which null is the last word. */
export const missing = (defaults: Tree, trees: ReadonlyArray<Tree>): ReadonlyArray<Mistake> =>
  trees.flatMap((tree, index) =>
    takenAway(tree)
      .filter((path) => isNeeded(defaults, path) && trees.slice(index + 1).every((later) => saying(later, path).says === "nothing"))
      .map((path) => ({
        path,
        message: `null cannot take this away; write a value, such as the default, ${JSON.stringify(valueAt(defaults, path))}`
      }))
  )

/**
 * Returns the keys that null takes away for good, in whole or in part, each with the layer that does: something of their defaults is not in
 * the values, and no later layer takes it away too.
 */
export const goneByNull = (
  defaults: Tree,
  values: Tree,
  layers: ReadonlyArray<Layer>
): ReadonlyArray<{ readonly layer: Layer; readonly path: Path }> => {
  const lacks = (path: Path) =>
    leaves(valueAt(defaults, path)).some(({ path: below, value }) =>
      (value === false || !saysNothing(value)) && valueAt(values, [...path, ...below]) === undefined
    )
  const isHidden = ({ tree }: Layer, path: Path) => {
    const said = saying(tree, path)
    return said.says === "instead" || (said.says === "this" && !isTree(said.value))
  }
  return layers.flatMap((layer, index) =>
    takenAway(layer.tree)
      .filter((path) => lacks(path) && !layers.slice(index + 1).some((later) => isHidden(later, path)))
      .map((path) => ({ layer, path }))
  )
}
