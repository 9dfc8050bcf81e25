// The values of a Helm release as a values file of ours, without its secrets, and what became of the keys that have another name here or none.
// Invariant: what comes of it is what the release says with the chart's defaults, wherever ours differ from those.
// Used by core/migration/move.ts.
import type { HelmRelease } from "../../schema/helm-release.ts"
import { isTree, merge, type Tree } from "../../schema/layers.ts"
import { defaultValues } from "../../schema/values.ts"
import { get, textAt, treeAt, without, withValue } from "../tree-path.ts"
import { type InlineSecret, withoutSecrets } from "./inline-secrets.ts"
import { type Renamed, renamedValues } from "./renamed-values.ts"

export interface ReleaseValues extends Renamed {
  readonly secrets: ReadonlyArray<InlineSecret>
}

/** Over `fallback` it gives just this: what is only there is taken away. */
const exactly = (fallback: Tree, wanted: Tree): Tree => ({
  ...Object.fromEntries(Object.keys(fallback).map((key) => [key, null])),
  ...Object.fromEntries(Object.entries(wanted).map(([key, value]) => [key, isTree(value) ? exactly(treeAt(fallback, key), value) : value]))
})

/** Maps of any keys, in which defaults of ours would join those of the chart. */
const wholes = ["controller.resources", "task.worker.resources", "task.runner.resources"]

const asWholes = (values: Tree): Tree =>
  wholes.reduce((all, key) => {
    const wanted = get(all, key)
    return isTree(wanted) ? withValue(all, key, exactly(treeAt(defaultValues, key), wanted)) : all
  }, values)

/** In releases until 0.5.63 the Secret's name was a text, and its key beside it. */
const existingSecret = (values: Tree): Tree => {
  const name = get(values, "agent.tokenExistingSecret")
  if (typeof name !== "string") return values
  const left = without(without(values, "agent.tokenExistingSecret"), "agent.tokenExistingSecretKey")
  return name === ""
    ? left
    : withValue(left, "agent.tokenExistingSecret", { name, key: textAt(values, "agent.tokenExistingSecretKey") || "token" })
}

/** `tokenSecret`: the name of the Secret that the new installation reads the pool's token from. */
export const releaseValues = ({ config, defaults, name }: HelmRelease, tokenSecret: string): ReleaseValues => {
  const { secrets, values: bare } = withoutSecrets(existingSecret(config), name, tokenSecret)
  const { renamed, unknown } = renamedValues(bare)
  return { values: asWholes(renamedValues(merge(existingSecret(defaults), bare)).values), renamed, unknown, secrets }
}
