// Decodes what people write and reports every problem at once: each is a line with its path, an unknown key with the nearest known one.
// Invariant: a key that the schema does not name is an error.
// Used wherever people write what we read: values and AgentTasks.
import { Result, Schema, SchemaIssue } from "effect"
import type { SchemaAST } from "effect"
import { answerable, at, type Layer, type Path, type Place, valueAt } from "./layers.ts"
import { inWords } from "./wording.ts"

/** Returns how many letters to change, add or leave out to get from `a` to `b` (Levenshtein). */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (letter === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/**
 * Reports whether one word is the beginning of the other, as `timeout` is of `timeoutSeconds`. Words of one or two letters do not count.
 */
const isStart = (a: string, b: string): boolean => Math.min(a.length, b.length) > 2 && (a.startsWith(b) || b.startsWith(a))

/**
 * Returns the known word that was most likely meant, if any is near: a third of its letters may differ, two in a short word, or its end may
 * be missing.
 */
export const nearest = (word: string, known: ReadonlyArray<string>): string | undefined => {
  const near = (name: string): ReadonlyArray<{ readonly name: string; readonly letters: number }> => {
    const [a, b] = [word.toLowerCase(), name.toLowerCase()]
    const most = Math.max(2, name.length / 3)
    if (Math.abs(a.length - b.length) > most && !isStart(a, b)) return [] // too many letters are missing, wherever they are
    const letters = distance(a, b)
    return letters <= most || isStart(a, b) ? [{ name, letters }] : []
  }
  return known.flatMap(near).sort((a, b) => a.letters - b.letters)[0]?.name
}

const keysOf = (ast: SchemaAST.AST): ReadonlyArray<string> =>
  ast._tag === "Objects" ? ast.propertySignatures.map(({ name }) => String(name)) : []

const standard = SchemaIssue.makeFormatterStandardSchemaV1()

/** One thing that is wrong. */
export interface Mistake {
  readonly path: Path
  readonly message: string
}

/** Returns a path as people write it: `a.b[0].c`. */
export const shown = (path: Path): string =>
  path.map((key, index) => typeof key === "number" ? `[${key}]` : `${index === 0 ? "" : "."}${String(key)}`).join("") || "the file"

const stranger = (path: Path, known: ReadonlyArray<string>): Mistake => {
  const guess = nearest(String(path.at(-1)), known)
  return { path, message: `unknown key${guess === undefined ? `; known here are ${known.join(", ")}` : `, did you mean "${guess}"?`}` }
}

const explain = (issue: SchemaIssue.Issue, path: Path = []): ReadonlyArray<Mistake> => {
  switch (issue._tag) {
    case "Pointer":
      return explain(issue.issue, [...path, ...issue.path])
    case "Encoding":
      return explain(issue.issue, path)
    case "Composite":
      return issue.issues.flatMap((_) => explain(_, path))
    case "UnexpectedKey":
      return [stranger(path, keysOf(issue.ast))]
    default:
      return standard(issue).issues.map((_) => ({
        path: [...path, ...(_.path ?? []).map((_) => typeof _ === "object" ? _.key : _)],
        message: _.message
      }))
  }
}

/** Removes repeated mistakes. Of those that say what a value must be, only the first for each value is kept. */
const once = (mistakes: ReadonlyArray<Mistake>): ReadonlyArray<Mistake> =>
  [...new Map(
    mistakes.toReversed().map((mistake) => [mistake.message.startsWith("must be ") ? shown(mistake.path) : line(mistake), mistake])
  ).values()].toReversed()

/** The decoder refuses unknown keys by these options; the schemas do not refuse them. */
const strict: SchemaAST.ParseOptions = { onExcessProperty: "error", errors: "all" }

/** Returns a function that decodes input or fails with every mistake in it. */
export const parse = <S extends Schema.ConstraintDecoder<unknown>>(
  schema: S
): (input: unknown) => Result.Result<S["Type"], ReadonlyArray<Mistake>> => {
  const decode = Schema.decodeUnknownResult(schema, strict)
  return (input) =>
    Result.mapError(
      decode(input),
      ({ issue }) => once(explain(issue).map(({ message, path }) => ({ path, message: inWords(message, valueAt(input, path)) })))
    )
}

/** The annotation by which a rule for a map tells the pattern of the map's keys. */
export const keyPattern = "agent-job/keyPattern"

const mayBeKey = (map: SchemaAST.Objects, key: string): boolean =>
  (map.checks ?? []).every(({ annotations }) => !(annotations?.[keyPattern] instanceof RegExp) || annotations[keyPattern].test(key))

/**
 * Returns a mistake for the first key on a path that the schema does not know, if there is one. It is for keys that are set to null,
 * because a decoder never sees these.
 */
export const unknownIn = (schema: Schema.Top) => (path: Path): ReadonlyArray<Mistake> => {
  let ast: SchemaAST.AST = schema.ast
  for (const [depth, name] of path.entries()) {
    if (ast._tag !== "Objects") return []
    const field = ast.propertySignatures.find((_) => _.name === name)?.type
    const entry = ast.indexSignatures[0]?.type
    if (field === undefined && (entry === undefined || !mayBeKey(ast, String(name)))) {
      return [stranger(path.slice(0, depth + 1), keysOf(ast))]
    }
    ast = field ?? entry ?? ast
  }
  return []
}

/** Returns a mistake for a person, as `path: what is wrong`. */
export const line = ({ message, path }: Mistake): string => `${shown(path)}: ${message}`

/** One thing that is wrong in a file. */
export interface Fault {
  readonly file: string
  readonly place?: Place
  /** The path of the key that the fault is about, if it is about one. */
  readonly path?: string
  readonly message: string
}

/** How many faults a person is told at once. A file with more is broken by one cause, or is no such file at all. */
const mostTold = 20
/** How many characters of a path or a message are told. What is longer is quoted from a file that is no text. */
const longestTold = 1000

const cut = (text: string): string => text.length > longestTold ? `${text.slice(0, longestTold).replace(/[\uD800-\uDFFF]$/u, "")}…` : text

/** Returns a fault for a person, as `file:line:column path: what is wrong`. */
export const told = ({ file, message, path, place }: Fault): string =>
  `${place === undefined ? file : at(file, place)} ${path === undefined ? "" : `${cut(path)}: `}${cut(message)}`

/** Returns faults for a person, one each, and how many there are besides them. */
export const allTold = (faults: ReadonlyArray<Fault>): ReadonlyArray<string> => [
  ...faults.slice(0, mostTold).map(told),
  ...(faults.length > mostTold ? [`and ${faults.length - mostTold} more`] : [])
]

/** Returns each mistake as a fault of the layer that is answerable for it, in the order of files and lines. */
export const located = (layers: ReadonlyArray<Layer>, mistakes: ReadonlyArray<Mistake>): ReadonlyArray<Fault> =>
  mistakes.map(({ message, path }) => {
    const { index, name, place } = answerable(layers, path)
    return { index, fault: { file: name, ...(place !== undefined && { place }), path: shown(path), message } }
  }).sort((a, b) => a.index - b.index || before(a.fault, b.fault)).map(({ fault }) => fault)

const before = ({ place: a }: Fault, { place: b }: Fault): number =>
  a === undefined || b === undefined ? 0 : a.line - b.line || a.column - b.column
