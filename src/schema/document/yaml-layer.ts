// The text of a values file as a layer: its data, and the line and column of every key.
// Invariant: a layer is a plain map in which each key is given once. Every fault is reported without the text, with its place if it has one.
// Used by controller/configuration/values-files and cli/commands/render.
import { Result } from "effect"
import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  parseDocument,
  type ScalarTag,
  visit,
  type YAMLError,
  type YAMLMap
} from "yaml"
import type { Fault } from "./fault.ts"
import { isTree, type Layer, type Path, type Place, type Tree } from "./layers.ts"

const startOf = (node: unknown): number | undefined => isNode(node) ? node.range?.[0] : undefined

/** What each alias stands for; undefined if there is no such anchor before it. */
type Targets = ReadonlyMap<Alias, Node | undefined>

/** Returns the targets of all aliases, since the parser goes through the whole document for each of them. */
const targetsIn = (document: Document.Parsed): Targets => {
  const anchored = new Map<string, Node>()
  const targets = new Map<Alias, Node | undefined>()
  visit(document, {
    Alias: (_, node) => void targets.set(node, anchored.get(node.source)),
    Value: (_, node) => {
      if (node.anchor !== undefined) anchored.set(node.anchor, node)
    }
  })
  return targets
}

/**
 * The most characters that are gone through for aliases, each of which the parser looks for in the whole text: of a file of 100 KiB, there
 * may be a thousand.
 */
const mostSearched = 100_000_000

/**
 * Returns a function that gives the offset of a key, or of the last key on the path to it that exists. It keeps the keys of the maps that
 * it saw, because a search through a large map for each of its keys would take minutes.
 */
const offsetsIn = (document: Document.Parsed, targets: Targets) => {
  const seen = new Map<YAMLMap, ReadonlyMap<string, Pair>>()
  const pairsOf = (map: YAMLMap): ReadonlyMap<string, Pair> => {
    const pairs = seen.get(map) ?? new Map(map.items.flatMap((pair) => isScalar(pair.key) ? [[String(pair.key.value), pair]] : []))
    seen.set(map, pairs)
    return pairs
  }
  return (path: Path): number => {
    let node: unknown = document.contents
    let offset = startOf(node) ?? 0
    for (const key of path) {
      const inside = isAlias(node) ? targets.get(node) : node
      const pair = isMap(inside) && typeof key === "string" ? pairsOf(inside).get(key) : undefined
      const next = isSeq(inside) && typeof key === "number" ? inside.items[key] : pair?.value
      const start = startOf(pair?.key ?? next)
      if (start === undefined) return offset
      offset = start
      node = next
    }
    return offset
  }
}

/** What is said in place of a message of the parser's that repeats the text, or that says little. */
const ourWords: Readonly<Partial<Record<YAMLError["code"], string>>> = {
  BAD_DIRECTIVE: "this directive means nothing here; leave it out",
  BAD_DQ_ESCAPE: "this escape means nothing; write \\\\ for a backslash",
  MULTIPLE_DOCS: "another document begins here; a file has one",
  TAG_RESOLVE_FAILED: "this tag means nothing here; leave it out, or put a text in quotes"
}

/** Returns a fault in our words or in the parser's, without the parser's position, and without an excerpt, which may be a secret. */
const sentence = ({ code, message }: YAMLError): string => {
  if (/^Maximum call stack|: Stack overflow/u.test(message)) return "is nested too deeply"
  const said = (message.split("\n")[0] ?? message).replace(/ at line \d+, column \d+:?$/u, "")
  return ourWords[code] ?? (code === "UNEXPECTED_TOKEN" ? said.replace(/: .*$/u, "") : said)
}

/**
 * Returns the text with only its document of that kind, or only the first document that is no YAML, with every line where it was. A text
 * with a single document stays as it is. Fails if there are several documents and not exactly one of that kind.
 */
export const onlyOfKind = (text: string, kind: string): Result.Result<string, string> => {
  const documents = parseAllDocuments(text, { uniqueKeys: false })
  if (!Array.isArray(documents) || documents.length < 2) return Result.succeed(text)
  const broken = documents.find(({ errors }) => errors.length > 0)
  const found = broken === undefined ? documents.filter((document) => isMap(document.contents) && document.get("kind") === kind) : [broken]
  const [only, another] = found
  if (only === undefined) return Result.fail(`none of its ${documents.length} documents has kind ${kind}; name a file that has one`)
  if (another !== undefined) {
    return Result.fail(`${found.length} of its ${documents.length} documents have kind ${kind}; name a file that has one`)
  }
  const [begin, , end] = only.range
  return Result.succeed(text.slice(0, begin).replace(/[^\n]/gu, " ") + text.slice(begin, end))
}

/** Integers that begin with 0 are octal, as Helm and kubectl read them: the file mode 0400 is 256. */
const octal: ScalarTag = {
  tag: "tag:yaml.org,2002:int",
  default: true,
  test: /^[-+]?0[0-7]+$/u,
  resolve: (text) => Number.parseInt(text, 8)
}

interface Spot {
  readonly offset: number
  readonly message: string
}

/**
 * Returns the keys that a map has already, and those that are a list or a map: of such keys, nested in one another, the parser takes minutes
 * to make a text. It looks for repeated keys too, but compares each with every other one.
 */
const unusableKeys = (document: Document.Parsed): ReadonlyArray<Spot> => {
  const found: Array<Spot> = []
  visit(document, {
    Map: (_, { items }) => {
      const keys = new Set<unknown>()
      for (const { key } of items) {
        if (isCollection(key)) {
          found.push({ offset: startOf(key) ?? 0, message: "this key is a list or map; put {{ … }} in quotes if it is a text" })
        }
        if (!isScalar(key)) continue
        if (keys.has(key.value)) found.push({ offset: startOf(key) ?? 0, message: "this key is given twice; keep one" })
        keys.add(key.value)
      }
    }
  })
  return found
}

/** Returns what the parser accepts although a person would be surprised by its meaning. */
const surprises = (document: Document.Parsed, targets: Targets): ReadonlyArray<Spot> => {
  const found: Array<Spot> = [...targets].filter(([, target]) => target === undefined).map(([alias]) => ({
    offset: startOf(alias) ?? 0,
    message: "this alias names no anchor before it; put it in quotes if it is a text"
  }))
  visit(document, {
    Scalar: (_, node) => {
      const { range, source = "", value } = node
      if (typeof value === "number" && /^[-+]?0\d*[89]/u.test(source)) {
        found.push({ offset: range?.[0] ?? 0, message: "this is no octal number; put it in quotes, or leave the zeros out" })
      } else if (Number.isInteger(value) && !Number.isSafeInteger(value) && /^[-+]?\d+$/u.test(source)) {
        found.push({ offset: range?.[0] ?? 0, message: "this is too long for a number; put it in quotes if it is a text" })
      }
    }
  })
  return found
}

/** Keeps the first fault of each line, because the others in a line often follow from it. */
const firstOfLine = (faults: ReadonlyArray<Fault>): ReadonlyArray<Fault> => {
  const lines = new Set<number | undefined>()
  return faults.filter(({ place }) => !lines.has(place?.line) && lines.add(place?.line))
}

/** Parses a file. Fails with every fault of the text. An empty text gives an empty layer. */
export const yamlLayer = (file: string, text: string): Result.Result<Layer, ReadonlyArray<Fault>> => {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    merge: true,
    uniqueKeys: false,
    customTags: (tags) => [octal, ...tags],
    logLevel: "error" // a warning is printed with the text that it is about
  })
  const placeAt = (offset: number): Place => {
    const { col, line } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const targets = targetsIn(document)
  const offsetOf = offsetsIn(document, targets)
  const layer = (tree: Tree): Layer => ({ name: file, tree, place: (path) => placeAt(offsetOf(path)) })
  const faults = (spots: ReadonlyArray<Spot>) =>
    Result.fail(
      firstOfLine(
        spots.toSorted((a, b) => a.offset - b.offset).map(({ message, offset }) => ({ file, place: placeAt(offset), message }))
      )
    )
  const broken = [...document.errors, ...document.warnings].map((error) => ({ offset: error.pos[0], message: sentence(error) }))
  const wrong = [...broken, ...unusableKeys(document)]
  if (wrong.length > 0) return faults(wrong)
  const surprising = surprises(document, targets)
  if (surprising.length > 0) return faults(surprising)
  if (targets.size * text.length > mostSearched) {
    return Result.fail([{ file, message: "it has too many aliases for its length; write out what they stand for" }])
  }
  const data = Result.try({
    try: (): unknown => document.toJS(),
    catch: (error) =>
      error instanceof ReferenceError
        ? "its aliases unfold to too much; write out what they stand for"
        : "a << in it takes no map; give it an alias of a map, or put it in quotes if it is a key"
  })
  if (Result.isFailure(data)) return Result.fail([{ file, message: data.failure }])
  if (data.success === null) return Result.succeed(layer({}))
  return isTree(data.success)
    ? Result.succeed(layer(data.success))
    : Result.fail([{ file, place: placeAt(offsetOf([])), message: "must be a map of keys" }])
}
