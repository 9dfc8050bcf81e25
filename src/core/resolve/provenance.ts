// Explains where a value comes from: which layer set it, what that layer overrode, what the value comes to, and what the key means.
// Pure: the caller has read the layers. A token is never shown.
// Used by cli/commands/config-explain.
import { Result } from "effect"
import { shown } from "../../schema/document/explain.ts"
import { isTree, type Layer, leaves, type Path, type Place, saying, valueAt } from "../../schema/document/layers.ts"
import { nearest } from "../../schema/document/nearest.ts"
import { type Node, part, valueKeys, valuesDocument } from "../../schema/values/values-document.ts"
import { defaultValues, type Values } from "../../schema/values/values.ts"
import { effective } from "./inheritance.ts"

/** What one layer says of a key. */
export interface Said {
  /** The layer's file; absent for the defaults. */
  readonly file?: string
  readonly place?: Place
  /**
   * What the layer sets. Null removes what the layers below set. With `instead`, it is the value of that enclosing key, which hides this
   * one.
   */
  readonly value: unknown
  readonly instead?: string
}

export interface Key {
  readonly path: Path
  readonly node: Node
}

const tokens = /[^.[\]]+|\[\d+\]/gu

/**
 * Finds a key as people write it, such as `task.extraVolumes[0].name`, or says why there is none. The text that follows a map of free names
 * is one name, including its dots.
 */
export const findKey = (text: string): Result.Result<Key, string> => {
  let node: Node = valuesDocument()
  const path: Array<string | number> = []
  for (const { 0: token, index } of text.matchAll(tokens)) {
    const list = part(node, "items")
    const key = token.startsWith("[") ? Number(token.slice(1, -1)) : token
    const known = isTree(node["properties"]) ? Object.keys(node["properties"]) : []
    const entry = part(node, "additionalProperties")
    if (typeof key === "string" && entry !== undefined) return Result.succeed({ path: [...path, text.slice(index)], node: entry })
    const next = typeof key === "number" ? list : known.includes(key) ? part(node, "properties", key) : undefined
    if (next === undefined && (node["additionalProperties"] === false || list !== undefined || isSingle(node))) {
      return Result.fail(list === undefined ? notKnown(shown([...path, key]), path, known, text) : noItem(shown([...path, key]), path, key))
    }
    node = next ?? {}
    path.push(key)
  }
  return Result.succeed({ path, node })
}

/** Reports whether the node is a single value, with no keys or items. */
const isSingle = ({ anyOf, type }: Node): boolean =>
  Array.isArray(anyOf)
    ? anyOf.every((_: unknown) => isTree(_) && isSingle(_))
    : typeof type === "string" && type !== "object" && type !== "array"

const noItem = (asked: string, list: Path, key: string | number): string =>
  `There is no key ${asked}; ${shown(list)} is a list, and ${
    shown([...list, /^\d+$/u.test(String(key)) ? Number(key) : 0])
  } is an item of it.`

const notKnown = (asked: string, around: Path, known: ReadonlyArray<string>, text: string): string => {
  const guess = nearest(asked.split(".").at(-1) ?? "", known)
  if (guess !== undefined) return `There is no key ${asked}; did you mean ${shown([...around, guess])}?`
  const ending = valueKeys().map(({ key }) => key).filter((key) => key.endsWith(`.${text}`))
  if (ending.length > 0) return `There is no key ${asked}; the whole name is one of ${ending.join(", ")}.`
  return `There is no key ${asked}; ${
    known.length === 0
      ? `${shown(around)} has no keys`
      : `known ${around.length === 0 ? "at the top" : `in ${shown(around)}`} are ${known.join(", ")}`
  }.`
}

const secrets = ["agent.token", "agent.auth.token"]
/** Reports whether a path is that of a token, or of a section around one: who gives it no map may have written the token there. */
const mayBeToken = (path: Path): boolean => secrets.some((key) => `${key}.`.startsWith(`${shown(path)}.`))
const withoutSecrets = (path: Path, value: unknown): unknown => {
  if (isTree(value) && !secrets.includes(shown(path))) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutSecrets([...path, key], inner)]))
  }
  return mayBeToken(path) && value !== undefined && value !== null && value !== "" ? "(not shown)" : value
}

/** Returns what the layers say about a key, the topmost first, with the default at the end, if there is one. */
export const history = (layers: ReadonlyArray<Layer>, path: Path): ReadonlyArray<Said> => {
  const given = layers.flatMap(({ name: file, place, tree }): ReadonlyArray<Said> => {
    const said = saying(tree, path)
    if (said.says === "nothing") return []
    if (said.says === "instead") {
      return [{ file, place: place(said.at), value: withoutSecrets(said.at, valueAt(tree, said.at)), instead: shown(said.at) }]
    }
    return [{ file, place: place(path), value: withoutSecrets(path, said.value) }]
  })
  const fallback = valueAt(defaultValues, path)
  return [...given.reverse(), ...(fallback === undefined ? [] : [{ value: fallback }])]
}

/** A key that a value comes from, and what set it. */
export interface Source {
  readonly key: string
  readonly by?: Said
}

export interface Explanation {
  /** The key; empty for all keys together. */
  readonly key: string
  readonly description?: string
  /** The value; absent if the key is not set and has no default. */
  readonly value?: unknown
  readonly history: ReadonlyArray<Said>
  readonly effective?: { readonly value: unknown; readonly from: ReadonlyArray<Source> }
}

const sourceOf = (layers: ReadonlyArray<Layer>, key: string): Source => {
  const [by] = history(layers, key.split("."))
  return { key, ...(by !== undefined && { by }) }
}

/** Explains one key. What it comes to is included if the key falls back to others. */
export const explainKey = (layers: ReadonlyArray<Layer>, values: Values, { node, path }: Key): Explanation => {
  const value = valueAt(values, path)
  const comesTo = effective(values, path.map(String))
  return {
    key: path.length === 0 ? "" : shown(path),
    ...(typeof node["description"] === "string" && { description: node["description"] }),
    ...(value !== undefined && { value: withoutSecrets(path, value) }),
    history: history(layers, path),
    ...(comesTo !== undefined &&
      { effective: { value: withoutSecrets(path, comesTo.value), from: comesTo.from.map((key) => sourceOf(layers, key)) } })
  }
}

/** Returns the keys below `path` that some layer sets or removes, in the order of the files. */
export const setBelow = (layers: ReadonlyArray<Layer>, path: Path): ReadonlyArray<Path> => {
  const found = new Map<string, Path>()
  for (const { tree } of layers) {
    const inner = valueAt(tree, path)
    for (const leaf of isTree(inner) ? leaves(inner) : []) found.set(shown([...path, ...leaf.path]), [...path, ...leaf.path])
  }
  return [...found.values()].filter((leaf) => history(layers, leaf)[0]?.instead === undefined)
}

/** Reports whether a value is explained key by key. */
export const isBranch = (value: unknown): boolean => isTree(value) && Object.keys(value).length > 0
