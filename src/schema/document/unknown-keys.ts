// Takes the keys that a schema does not know out of a tree, and returns each with its path and the nearest known key.
// Invariant: what is left has only known keys; lists and free-form maps stay as they were.
// Used by core/migration, where an unknown key is a remark and not a mistake.
import type { Schema, SchemaAST } from "effect"
import { isTree, type Tree } from "./layers.ts"
import { nearest } from "./nearest.ts"

export interface UnknownKey {
  /** The path of the key, written with dots as in the table of the values. */
  readonly key: string
  readonly nearest?: string
}

interface Split {
  readonly known: Tree
  readonly unknown: ReadonlyArray<UnknownKey>
}

const split = (ast: SchemaAST.AST, tree: Tree, path: string): Split => {
  if (ast._tag !== "Objects" || ast.indexSignatures.length > 0) return { known: tree, unknown: [] }
  const types = new Map(ast.propertySignatures.map(({ name, type }) => [String(name), type]))
  const known: Record<string, unknown> = {}
  const unknown: Array<UnknownKey> = []
  for (const [key, value] of Object.entries(tree)) {
    const type = types.get(key)
    if (type === undefined) {
      unknown.push(withNearest(`${path}${key}`, nearest(key, [...types.keys()]), path))
    } else if (isTree(value)) {
      const inside = split(type, value, `${path}${key}.`)
      known[key] = inside.known
      unknown.push(...inside.unknown)
    } else {
      known[key] = value
    }
  }
  return { known, unknown }
}

const withNearest = (key: string, guess: string | undefined, path: string): UnknownKey => ({
  key,
  ...(guess !== undefined && { nearest: `${path}${guess}` })
})

export const unknownKeys = (schema: Schema.Top, tree: Tree): Split => split(schema.ast, tree, "")
