// Decodes what people write and reports every problem at once: each is a line with its path, an unknown key with the nearest known one.
// Invariant: a key that the schema does not name is an error.
// Used wherever people write what we read: values and AgentTasks.
import { Result, Schema, SchemaIssue } from "effect"
import type { SchemaAST } from "effect"
import { type Path, valueAt } from "./layers.ts"
import { nearest } from "./nearest.ts"
import { inWords } from "./wording.ts"

const keysOf = (ast: SchemaAST.AST): ReadonlyArray<string> =>
  ast._tag === "Objects" ? ast.propertySignatures.map(({ name }) => String(name)) : []

const standard = SchemaIssue.makeFormatterStandardSchemaV1()

/** One thing that is wrong. */
export interface Mistake {
  readonly path: Path
  readonly message: string
  /** The path of the key that an unknown one seems to mean. */
  readonly meant?: Path
}

/** Returns a path as people write it: `a.b[0].c`. */
export const shown = (path: Path): string =>
  path.map((key, index) => typeof key === "number" ? `[${key}]` : `${index === 0 ? "" : "."}${String(key)}`).join("") || "the file"

const stranger = (path: Path, known: ReadonlyArray<string>): Mistake => {
  const guess = nearest(String(path.at(-1)), known)
  return guess === undefined
    ? { path, message: `unknown key; known here are ${known.join(", ")}` }
    : { path, message: `unknown key, did you mean "${guess}"?`, meant: [...path.slice(0, -1), guess] }
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

/** Returns a function that decodes input or fails with every mistake in it. The schemas do not refuse unknown keys, and this does if asked to. */
export const parse = <S extends Schema.ConstraintDecoder<unknown>>(
  schema: S,
  unknownKeys: "error" | "ignore" = "error"
): (input: unknown) => Result.Result<S["Type"], ReadonlyArray<Mistake>> => {
  const decode = Schema.decodeUnknownResult(schema, { onExcessProperty: unknownKeys, errors: "all" })
  return (input) =>
    Result.mapError(
      decode(input),
      ({ issue }) => once(explain(issue).map((_) => ({ ..._, message: inWords(_.message, valueAt(input, _.path)) })))
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
