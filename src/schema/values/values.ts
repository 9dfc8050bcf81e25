// The values: everything a person may configure, decoded from what files say over the defaults, closed against typing errors.
// Invariant: names, defaults and inheritance are those of the Helm chart agent-job 0.5.59, so that its values files move over.
// Used wherever values are read; resolved by core/resolve/resolve.
import { Result } from "effect"
import { line, type Mistake, parse, unknownIn } from "../document/explain.ts"
import { type Fault, located } from "../document/fault.ts"
import { difference, isTree, type Layer, type Path, type Tree } from "../document/layers.ts"
import { missing, overDefaults, takenAway } from "./null-values.ts"
import { contradictions } from "./value-rules.ts"
import { Sections } from "./value-sections.ts"

/** The version of the system that these values belong to. An empty image tag means this version, unless the program is told another one. */
export const appVersion = "0.54.0"

export type Values = Sections

const decode = parse(Sections)
const decodeKnown = parse(Sections, "ignore")
export const defaultValues: Values = Result.getOrThrow(decode({}))

const mistakesOf = Result.match({ onFailure: (_: ReadonlyArray<Mistake>) => _, onSuccess: () => [] })
const distinct = (mistakes: ReadonlyArray<Mistake>) => [...new Map(mistakes.map((_) => [line(_), _])).values()]

/** Returns the part of the values that a mistake is in or seems to mean, such as `task.runner`. It has a default as a whole. */
const partOf = ({ meant, path }: Mistake): Path => (meant ?? path).slice(0, 2)
/** Returns a layer that gives a part its default again. */
const withoutPart = ([section = "", key]: Path): Tree => ({ [section]: key === undefined ? null : { [key]: null } })

/** Returns what is wrong in layers beside unknown keys, and their values, in which each part that has something wrong has its default. */
const usable = (trees: ReadonlyArray<Tree>): { readonly values: Values; readonly wrong: ReadonlyArray<Mistake> } => {
  const wrong = mistakesOf(decodeKnown(overDefaults(defaultValues, trees)))
  const rest = overDefaults(defaultValues, [...trees, ...wrong.map(partOf).map(withoutPart)])
  return { values: Result.getOrThrow(decodeKnown(rest)), wrong }
}

/**
 * Decodes layers, merged over the defaults. An unknown key is a mistake even if its value is null, and so is null for a key that must be
 * there. Contradictions are found beside all that, but for those in which a part with a wrong value is involved, or one that an unknown key
 * seems to mean.
 */
const decodeOver = (trees: ReadonlyArray<Tree>): Result.Result<Values, ReadonlyArray<Mistake>> => {
  const decoded = decode(overDefaults(defaultValues, trees))
  const gone = missing(defaultValues, trees)
  const { values, wrong } = Result.isSuccess(decoded) ? { values: decoded.success, wrong: [] } : usable(trees)
  const refused = mistakesOf(decoded)
  const unsure = [...gone, ...wrong, ...refused.filter(({ meant }) => meant !== undefined)].map(partOf)
  const mistakes = [
    ...trees.flatMap(takenAway).flatMap(unknownIn(Sections)),
    ...gone,
    ...refused,
    ...wrong,
    ...contradictions(values, unsure).map(({ issue, path }) => ({ path, message: issue }))
  ]
  return mistakes.length === 0 ? Result.succeed(values) : Result.fail(distinct(mistakes))
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
