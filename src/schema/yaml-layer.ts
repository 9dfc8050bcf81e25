// The text of a values file as a layer: its data, and the line and column of every key.
// Invariant: what is no plain map of keys, given once each, is no layer; every fault of the text is told with its place.
// Used by controller/values-files.
import { Result } from "effect"
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type YAMLParseError } from "yaml"
import type { Fault } from "./explain.ts"
import { isTree, type Layer, type Path, type Place, type Tree } from "./layers.ts"

const startOf = (node: unknown): number | undefined => isNode(node) ? node.range?.[0] : undefined

/** The offset of a key, or of the last one on the way to it that is there. */
const offsetOf = (document: Document.Parsed, path: Path): number => {
  let node: unknown = document.contents
  let offset = startOf(node) ?? 0
  for (const key of path) {
    const inside = isAlias(node) ? node.resolve(document) : node
    const pair = isMap(inside) ? inside.items.find((_) => isScalar(_.key) && String(_.key.value) === key) : undefined
    const next = isSeq(inside) && typeof key === "number" ? inside.items[key] : pair?.value
    const start = startOf(pair?.key ?? next)
    if (start === undefined) return offset
    offset = start
    node = next
  }
  return offset
}

/** The parser's words without its own place and picture. */
const sentence = ({ code, message }: YAMLParseError): string => {
  if (code === "DUPLICATE_KEY") return "this key is given twice; keep one"
  return code === "MULTIPLE_DOCS" ? "another document begins here; a file has one" : (message.split("\n")[0] ?? message).replace(/ at line \d+, column \d+:?$/u, "")
}

/** Fails with every fault of the text; an empty one is an empty layer. */
export const yamlLayer = (file: string, text: string): Result.Result<Layer, ReadonlyArray<Fault>> => {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, merge: true })
  const placeAt = (offset: number): Place => {
    const { col, line } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const layer = (tree: Tree): Layer => ({ name: file, tree, place: (path) => placeAt(offsetOf(document, path)) })
  if (document.errors.length > 0) return Result.fail(document.errors.map((error) => ({ file, place: placeAt(error.pos[0]), message: sentence(error) })))
  const data = Result.try({ try: (): unknown => document.toJS(), catch: (error) => error instanceof Error ? error.message : String(error) })
  if (Result.isFailure(data)) return Result.fail([{ file, message: data.failure }]) // an alias that leads nowhere, or to too much
  if (data.success === null) return Result.succeed(layer({}))
  return isTree(data.success) ? Result.succeed(layer(data.success)) : Result.fail([{ file, place: placeAt(offsetOf(document, [])), message: "must be a map of keys" }])
}
