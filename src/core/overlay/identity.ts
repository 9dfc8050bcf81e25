// From the name and namespaces of the shipped installation to those of another one: the patches that say so, and what is left to say beside them.
// Invariant: kustomize carries a new name into the references to it, so that no other patch has to, but where it is known to lose sight of it.
// Used by core/overlay/overlay.ts.
import { isTree, type Tree } from "../../schema/layers.ts"
import type { InstalledObject } from "../manifest/install.ts"
import type { ResolvedConfig } from "../resolve.ts"
import { get, withValue } from "../tree-path.ts"
import { labelOf, nameOf, namespaceOf, type Pair } from "./pairs.ts"

const component = "app.kubernetes.io/component"
const instance = "app.kubernetes.io/instance"

/** `to` as it would be if it had the name of `from`. */
const unnamed = ({ from, to }: Pair): Tree => {
  const [namespace, label] = [namespaceOf(from), labelOf(from, instance)]
  return {
    ...to,
    metadata: {
      ...to.metadata,
      name: nameOf(from),
      ...(namespace !== undefined && { namespace }),
      ...(label !== "" && { labels: { ...to.metadata?.labels, [instance]: label } })
    }
  }
}

const isBeside = (binding: InstalledObject): boolean =>
  "subjects" in binding && (binding.subjects ?? []).every(({ namespace }) => namespace === namespaceOf(binding))

/** Where an object refers to others that get another name; kustomize loses sight of an account in another namespace. */
const references = (object: InstalledObject, hasAccount: boolean): ReadonlyArray<string> => {
  if (object.kind === "RoleBinding") {
    return isBeside(object) && (hasAccount || labelOf(object, component) === "task")
      ? ["roleRef", "subjects"]
      : ["roleRef"]
  }
  return object.kind === "Deployment" && hasAccount ? ["spec.template.spec.serviceAccountName"] : []
}

/** The volume with the ConfigMap of the values. */
const isConfig = (volume: unknown): boolean => isTree(volume) && volume["name"] === "config"

const withConfigOf = (object: Tree, to: Tree): Tree => {
  const key = "spec.template.spec.volumes"
  const [volumes, wanted] = [get(object, key), get(to, key)]
  return Array.isArray(volumes) && Array.isArray(wanted)
    ? withValue(object, key, volumes.map((_: unknown) => isConfig(_) ? wanted.find(isConfig) : _))
    : object
}

/** `from` with what kustomize changes in it once others have other names; an account that is not made (`hasAccount`) is not one of them. */
const followed = (pair: Pair, hasAccount: boolean): Tree => {
  const to: Tree = { ...pair.to }
  const object = references(pair.to, hasAccount).reduce<Tree>((all, key) => withValue(all, key, get(to, key)), { ...pair.from })
  return pair.from.kind === "Deployment" ? withConfigOf(object, to) : object
}

/** Before and after all that has to be patched beside the names, under the name that it has until then. */
export const content = (pair: Pair, hasAccount: boolean): { readonly before: Tree; readonly after: Tree } => ({
  before: followed(pair, hasAccount),
  after: unnamed(pair)
})

export interface JsonPatch {
  readonly target: object
  readonly options?: { readonly allowNameChange: true }
  readonly patch: string
}

const replace = (target: object, path: string, value: string): JsonPatch => ({
  target,
  patch: JSON.stringify([{ op: "replace", path, value }])
})

interface Move {
  readonly before: string
  readonly after: string
}

/**
 * An object moves once: whoever leaves a namespace goes before others come to it, and where each comes to the other's, one waits elsewhere.
 */
const inOrder = (controller: Move, tasks: Move): ReadonlyArray<Move> => {
  if (controller.after !== tasks.before) return [controller, tasks]
  if (tasks.after !== controller.before) return [tasks, controller]
  const elsewhere = `${controller.before}-moving`
  return [{ before: controller.before, after: elsewhere }, tasks, { before: elsewhere, after: controller.after }]
}

const namespaces = (from: ResolvedConfig, to: ResolvedConfig): ReadonlyArray<JsonPatch> =>
  inOrder({ before: from.namespace, after: to.namespace }, { before: from.taskNamespace, after: to.taskNamespace })
    .filter(({ after, before }) => after !== before).map(({ after, before }) =>
      replace({ namespace: before }, "/metadata/namespace", after)
    )

/** The controller's account comes last, since it may get the name that the tasks' one has. */
const names = (pairs: ReadonlyArray<Pair>): ReadonlyArray<JsonPatch> => {
  const renamed = pairs.filter(({ from, to }) => nameOf(from) !== nameOf(to))
  const isLast = ({ from }: Pair): boolean => from.kind === "ServiceAccount" && labelOf(from, component) === "controller"
  return [...renamed.filter((_) => !isLast(_)), ...renamed.filter(isLast)].map(({ from, to }) => ({
    ...replace({ kind: from.kind, name: nameOf(from) }, "/metadata/name", nameOf(to)),
    options: { allowNameChange: true }
  }))
}

/** In the order in which they are to be applied. */
export const identityPatches = (from: ResolvedConfig, to: ResolvedConfig, pairs: ReadonlyArray<Pair>): ReadonlyArray<JsonPatch> => [
  ...namespaces(from, to),
  ...(from.name === to.name
    ? []
    : [replace({ labelSelector: `${instance}=${from.name}` }, `/metadata/labels/${instance.replaceAll("/", "~1")}`, to.name)]),
  ...names(pairs)
]
