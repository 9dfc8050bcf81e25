// Patches from the name and namespaces of the shipped installation to those of another one, and what other patches have to change.
// Invariant: kustomize updates references to a renamed object, so no other patch does, except where kustomize is known to lose track of it.
// Used by core/overlay/overlay, by cli/values/overlay-files, and by cli/values/write-overlay for names that kustomize cannot refer to.
import { isTree, type Tree } from "../../schema/document/layers.ts"
import type { InstalledObject } from "../manifest/installation/install.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { get, withValue } from "../resolve/tree-path.ts"
import { componentOf, type Installed, isControllerAccount, labelOf, nameOf, namespaceOf, type Pair } from "./pairs.ts"

const instance = "app.kubernetes.io/instance"

/** Returns `to` as it would be with the name, namespace and instance label of `from`. */
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

/**
 * Returns where an object refers to others that get another name, as far as kustomize follows. It loses track of an account in another
 * namespace.
 */
const references = (object: InstalledObject, hasAccount: boolean): ReadonlyArray<string> => {
  if (object.kind === "RoleBinding") {
    return isBeside(object) && (hasAccount || componentOf(object) === "task")
      ? ["roleRef", "subjects"]
      : ["roleRef"]
  }
  return object.kind === "Deployment" && hasAccount ? ["spec.template.spec.serviceAccountName"] : []
}

/** Reports whether a volume is the one with the ConfigMap of the values. */
const isConfig = (volume: unknown): boolean => isTree(volume) && volume["name"] === "config"

const withConfigOf = (object: Tree, to: Tree): Tree => {
  const key = "spec.template.spec.volumes"
  const [volumes, wanted] = [get(object, key), get(to, key)]
  return Array.isArray(volumes) && Array.isArray(wanted)
    ? withValue(object, key, volumes.map((_: unknown) => isConfig(_) ? wanted.find(isConfig) : _))
    : object
}

/** Returns as many elements of a list as another one has. Anything else is returned as it is. */
const asLong = (list: unknown, as: unknown): unknown => Array.isArray(list) && Array.isArray(as) ? list.slice(0, as.length) : list

/**
 * Returns `from` with the references that kustomize updates when other objects get other names. Without `hasAccount`, the controller's
 * account is not made and so gets no other name. Accounts that a binding has beside those that are shipped are left to a patch.
 */
const followed = (pair: Pair, hasAccount: boolean): Tree => {
  const [from, to]: [Tree, Tree] = [{ ...pair.from }, { ...pair.to }]
  const object = references(pair.to, hasAccount).reduce((all, key) => withValue(all, key, asLong(get(to, key), get(from, key))), from)
  return pair.from.kind === "Deployment" ? withConfigOf(object, to) : object
}

/** Returns an object before and after all patches other than those of names. It has its shipped name in both. */
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

/** A number, a date, a truth value or nothing in YAML 1.1 as kustomize reads it, which leaves the quotes out of a reference that it updates. */
const noText = /^(?:\d+(?:\.\d*)?(?:e-?\d+)?|\d{4}-\d{1,2}-\d{1,2}|0x[\da-f]+|0o[0-7]+|0b[01]+|true|false|null)$/u

export interface Misread {
  readonly what: "ServiceAccount" | "namespace"
  readonly name: string
  /** The flag or key that gives the name. */
  readonly by: string
}

/** Returns a name to which kustomize would write references that are no text, which the API server refuses; undefined if there is none. */
export const misreadName = ({ account, namespace, taskNamespace }: ResolvedConfig): Misread | undefined => {
  const names: ReadonlyArray<Misread> = [
    ...account.create ? [{ what: "ServiceAccount", name: account.name, by: "serviceAccount.name" } as const] : [],
    { what: "namespace", name: namespace, by: "--namespace" },
    { what: "namespace", name: taskNamespace, by: "task.namespace" }
  ]
  return names.find(({ name }) => noText.test(name))
}

interface Move {
  readonly before: string
  readonly after: string
}

/**
 * Orders the moves so that each object moves once: what leaves a namespace goes before others come to it. If the two namespaces are
 * exchanged, the objects of one wait in a temporary namespace.
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

/** Returns an object of the overlay's own as it is before the patches of namespaces, which move it along with those that are shipped. */
export const unmoved = ({ config: from }: Installed, { config: to }: Installed) => (object: InstalledObject): InstalledObject => {
  const namespace = namespaceOf(object)
  if (namespace === undefined) return object
  return { ...object, metadata: { ...object.metadata, namespace: namespace === to.taskNamespace ? from.taskNamespace : from.namespace } }
}

/**
 * Returns the patches of names. The controller's account comes last, because it may get the name that the tasks' account has until then.
 */
const names = (pairs: ReadonlyArray<Pair>): ReadonlyArray<JsonPatch> => {
  const renamed = pairs.filter(({ from, to }) => nameOf(from) !== nameOf(to))
  const isLast = ({ from }: Pair): boolean => isControllerAccount(from)
  return [...renamed.filter((_) => !isLast(_)), ...renamed.filter(isLast)].map(({ from, to }) => ({
    ...replace({ kind: from.kind, name: nameOf(from) }, "/metadata/name", nameOf(to)),
    options: { allowNameChange: true }
  }))
}

/** Returns the patches in the order in which they are to be applied. */
export const identityPatches = (from: ResolvedConfig, to: ResolvedConfig, pairs: ReadonlyArray<Pair>): ReadonlyArray<JsonPatch> => [
  ...namespaces(from, to),
  ...(from.name === to.name
    ? []
    : [replace({ labelSelector: `${instance}=${from.name}` }, `/metadata/labels/${instance.replaceAll("/", "~1")}`, to.name)]),
  ...names(pairs)
]
