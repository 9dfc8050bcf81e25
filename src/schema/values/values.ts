// The values: everything a person may configure, decoded from what files say over the defaults, closed against typing errors.
// Invariant: names, defaults and inheritance are those of the Helm chart agent-job 0.5.59, so that its values files move over.
// Source of schemas/values.schema.json and the tables in the documentation; resolved by core/resolve/resolve.ts.
import { Result, Schema } from "effect"
import { line, type Mistake, parse, unknownIn } from "../document/explain.ts"
import { type Fault, located } from "../document/fault.ts"
import { difference, isTree, type Layer, type Tree } from "../document/layers.ts"
import { missing, overDefaults, takenAway } from "./null-values.ts"
import { contradictions } from "./value-rules.ts"
import { Sections } from "./value-sections.ts"

/** The version of the system that these values belong to. An empty image tag means this version, unless the program is told another one. */
export const appVersion = "0.54.0"

export const Values = Sections.check(Schema.makeFilter(contradictions))
export type Values = typeof Values.Type

const decode = parse(Values)
export const defaultValues: Values = Result.getOrThrow(decode({}))

/** Decodes layers, merged over the defaults. An unknown key is a mistake even if its value is null, and so is null for a key that must be there. */
const decodeOver = (trees: ReadonlyArray<Tree>): Result.Result<Values, ReadonlyArray<Mistake>> => {
  const taken = [...trees.flatMap(takenAway).flatMap(unknownIn(Values)), ...missing(defaultValues, trees)]
  const decoded = decode(overDefaults(defaultValues, trees))
  return taken.length === 0
    ? decoded
    : Result.fail([...taken, ...Result.match(decoded, { onFailure: (_) => _, onSuccess: () => [] })])
}

/** Returns the values of trees, each over those before it and all over the defaults. Fails with a line for every problem. */
export const parseTrees = (trees: ReadonlyArray<Tree>): Result.Result<Values, ReadonlyArray<string>> =>
  Result.mapError(decodeOver(trees), (mistakes) => mistakes.map(line))

/** Returns the values of a file, over the defaults. Fails with a line for every problem. An empty file (null) gives the defaults. */
export const parseValues = (input: unknown): Result.Result<Values, ReadonlyArray<string>> =>
  isTree(input) || input === null || input === undefined
    ? parseTrees([input ?? {}])
    : Result.fail(["the file: must be a map of keys, such as agent or task"])

/** Returns the values of layers, each over those before it and all over the defaults. Fails with every fault. */
export const parseLayers = (layers: ReadonlyArray<Layer>): Result.Result<Values, ReadonlyArray<Fault>> =>
  Result.mapError(decodeOver(layers.map(({ tree }) => tree)), (mistakes) => located(layers, mistakes))

/** Returns the shortest file that gives these values. */
export const overrides = (values: Values): Tree => difference(defaultValues, values)
