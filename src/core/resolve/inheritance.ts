// A table of the keys of the values that fall back to other keys: what `resolve` does, key by key.
// Invariant: for every key in the table, the value found here is the one that `resolve` uses; a property test compares the two.
// Used by core/resolve/provenance.
import { isTree, type Tree, valueAt } from "../../schema/document/layers.ts"
import { appVersion } from "../../schema/values/values.ts"
import { get } from "./tree-path.ts"

/**
 * How a key falls back to others. `field`: if it is empty, it takes their value. `whole`: the same for a map, which is taken as a whole.
 * `entries`: their entries are merged with its own, which win.
 */
type Manner = "field" | "whole" | "entries"

interface Inheritance {
  readonly manner: Manner
  /** The keys that it falls back to, nearest first. */
  readonly from: ReadonlyArray<string>
  /** What the value is if all of these are empty. */
  readonly otherwise?: "the chart's application version"
}

const image = (of: string, from: ReadonlyArray<string>): Readonly<Record<string, Inheritance>> => ({
  [`${of}.pullPolicy`]: { manner: "field", from: from.map((_) => `${_}.pullPolicy`) },
  [`${of}.repository`]: { manner: "field", from: from.map((_) => `${_}.repository`) },
  [`${of}.tag`]: { manner: "field", from: from.map((_) => `${_}.tag`), otherwise: "the chart's application version" }
})

const ofAgent = (part: string): Readonly<Record<string, Inheritance>> => ({
  ...image(`${part}.image`, ["agent.image"]),
  [`${part}.securityContext`]: { manner: "whole", from: ["agent.securityContext"] },
  [`${part}.extraEnv`]: { manner: "entries", from: ["agent.extraEnv", "global.extraEnv"] }
})

const ofPods = (part: string): Readonly<Record<string, Inheritance>> => ({
  [`${part}.podAnnotations`]: { manner: "entries", from: ["global.podAnnotations"] },
  [`${part}.podLabels`]: { manner: "entries", from: ["global.podLabels"] }
})

export const inheritances: Readonly<Record<string, Inheritance>> = {
  ...image("agent.image", []),
  ...image("task.runner.image", []),
  ...ofAgent("controller"),
  ...ofAgent("task.worker"),
  ...ofPods("controller"),
  ...ofPods("task"),
  "agent.token": { manner: "field", from: ["agent.auth.token"] },
  "agent.extraEnv": { manner: "entries", from: ["global.extraEnv"] },
  "task.runner.extraEnv": { manner: "entries", from: ["global.extraEnv"] },
  "task.jobAnnotations": { manner: "entries", from: ["global.annotations"] },
  "task.jobLabels": { manner: "entries", from: ["global.labels"] }
}

interface Effective {
  readonly value: unknown
  /** The keys that the value comes from, nearest first. */
  readonly from: ReadonlyArray<string>
}

const isEmpty = (value: unknown): boolean => value === undefined || value === "" || (isTree(value) && Object.keys(value).length === 0)

const keyOf = (path: ReadonlyArray<string>): string | undefined =>
  path.map((_, index) => path.slice(0, index + 1).join(".")).find((key) => Object.hasOwn(inheritances, key))

const meet = (manner: Manner, key: string, from: ReadonlyArray<string>, values: Tree): Effective => {
  const given = [key, ...from].map((key) => ({ key, value: get(values, key) })).filter(({ value }) => !isEmpty(value))
  if (manner !== "entries") return { value: given[0]?.value, from: given.slice(0, 1).map(({ key }) => key) }
  return { value: Object.assign({}, ...given.map(({ value }) => value).reverse()) as unknown, from: given.map(({ key }) => key) }
}

/** Returns the value of a key after its fallbacks, or undefined for a key that has none. */
export const effective = (values: Tree, path: ReadonlyArray<string>): Effective | undefined => {
  const key = keyOf(path)
  const rule = key === undefined ? undefined : inheritances[key]
  if (key === undefined || rule === undefined) return undefined
  const inside = path.slice(key.split(".").length)
  if (inside.length > 0 && rule.manner === "entries") return entry(values, [key, ...rule.from], inside)
  const { from, value } = meet(rule.manner, key, rule.from, values)
  if (from.length === 0 && rule.otherwise !== undefined) return { value: appVersion, from: [rule.otherwise] }
  return { value: valueAt(value, inside), from }
}

const entry = (values: Tree, keys: ReadonlyArray<string>, inside: ReadonlyArray<string>): Effective => {
  const found = keys.map((key) => ({ key, value: valueAt(get(values, key), inside) })).find(({ value }) => value !== undefined)
  return { value: found?.value, from: found === undefined ? [] : [found.key] }
}
