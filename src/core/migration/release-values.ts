// The values of a Helm release as ours, without its secrets, and the keys of it that have another name here or none.
// Invariant: the result means what the release means with the chart's defaults, also where our defaults differ from those.
// Used by core/migration/move.ts.
import { isTree, leaves, merge, type Tree } from "../../schema/document/layers.ts"
import type { HelmRelease } from "../../schema/kubernetes/helm-release.ts"
import { missing } from "../../schema/values/null-values.ts"
import { defaultValues } from "../../schema/values/values.ts"
import { get, textAt, treeAt, without, withValue } from "../resolve/tree-path.ts"
import { type InlineSecret, withoutSecrets } from "./inline-secrets.ts"
import { type Renamed, renamedValues } from "./renamed-values.ts"

export interface ReleaseValues extends Renamed {
  readonly secrets: ReadonlyArray<InlineSecret>
  /** The keys that the release takes away by null, and that have their default here, since they need a value. */
  readonly kept: ReadonlyArray<string>
}

/** Returns the tree that gives exactly `wanted` when it is merged over `fallback`: keys that only `fallback` has are set to null. */
const exactly = (fallback: Tree, wanted: Tree): Tree => ({
  ...Object.fromEntries(Object.keys(fallback).map((key) => [key, null])),
  ...Object.fromEntries(Object.entries(wanted).map(([key, value]) => [key, isTree(value) ? exactly(treeAt(fallback, key), value) : value]))
})

/** Maps with arbitrary keys, in which our defaults would join those of the chart. */
const wholes = ["controller.resources", "task.worker.resources", "task.runner.resources"]

const asWholes = (values: Tree): Tree =>
  wholes.reduce((all, key) => {
    const wanted = get(all, key)
    return isTree(wanted) ? withValue(all, key, exactly(treeAt(defaultValues, key), wanted)) : all
  }, values)

const hasNoValue = (inside: unknown): boolean => leaves(inside).every(({ value }) => value === null || value === undefined)

/** Returns the values with null for each key that `own` takes away and that nothing else gives a value: here a default would come back. */
const withNulls = (values: Tree, own: Tree): Tree => ({
  ...values,
  ...Object.fromEntries(
    Object.entries(own).flatMap(([key, said]): ReadonlyArray<readonly [string, unknown]> => {
      const inside = values[key]
      if (isTree(said)) return [[key, withNulls(isTree(inside) ? inside : {}, said)]]
      return said === null && hasNoValue(inside) ? [[key, null]] : []
    })
  )
})

/**
 * Returns the values with the existing Secret as a map. In releases until 0.5.63 the value was the Secret's name, and its key was a value
 * beside it.
 */
const existingSecret = (values: Tree): Tree => {
  const name = get(values, "agent.tokenExistingSecret")
  if (typeof name !== "string") return values
  const left = without(without(values, "agent.tokenExistingSecret"), "agent.tokenExistingSecretKey")
  return name === ""
    ? left
    : withValue(left, "agent.tokenExistingSecret", { name, key: textAt(values, "agent.tokenExistingSecretKey") || "token" })
}

/**
 * Returns the values of a release as ours. `tokenSecret` is the name of the Secret from which the new installation reads the pool's token.
 */
export const releaseValues = ({ config, defaults, name }: HelmRelease, tokenSecret: string): ReleaseValues => {
  const { secrets, values: bare } = withoutSecrets(existingSecret(config), name, tokenSecret)
  const { renamed, unknown, values: own } = renamedValues(bare)
  const all = withNulls(asWholes(renamedValues(merge(existingSecret(defaults), bare)).values), own)
  const kept = missing(defaultValues, [all]).map(({ path }) => path.join("."))
  return { values: kept.reduce(without, all), renamed, unknown, secrets, kept }
}
