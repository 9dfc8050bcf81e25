// Finds the objects of two installations that have the same role, whatever the installations are called.
// Invariant: every object is in a pair, gone or added, and only in one of these.
// Used in core/overlay, and as a type by cli/values/overlay-files.ts.
import type { InstalledObject } from "../manifest/installation/install.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"

/** An object of the shipped installation and what it becomes. */
export interface Pair {
  readonly from: InstalledObject
  readonly to: InstalledObject
}

export const nameOf = ({ metadata }: InstalledObject): string => metadata?.name ?? ""
export const namespaceOf = ({ metadata }: InstalledObject): string | undefined =>
  metadata !== undefined && "namespace" in metadata ? metadata.namespace : undefined

/** Returns the value of a label, or an empty text if the object does not have it. */
export const labelOf = ({ metadata }: InstalledObject, label: string): string => metadata?.labels?.[label] ?? ""

/** Returns the component of the installation that an object belongs to. */
export const componentOf = (object: InstalledObject): string => labelOf(object, "app.kubernetes.io/component")

/** Reports whether an object is the controller's account. */
export const isControllerAccount = (object: InstalledObject): boolean =>
  object.kind === "ServiceAccount" && componentOf(object) === "controller"

/** Reports whether an object is the account of an identity of tasks. */
const isIdentity = (object: InstalledObject, { identities = [] }: ResolvedConfig): boolean =>
  object.kind === "ServiceAccount" && componentOf(object) === "task" && identities.some(({ name }) => name === nameOf(object))

/**
 * Returns what an object is for, independent of the installation's name. The accounts of controller and tasks may have any name, that of an
 * identity is its own, and the name of a policy ends in a namespace.
 */
const role = (object: InstalledObject, config: ResolvedConfig): string => {
  const { name, taskNamespace } = config
  if (isIdentity(object, config)) return `identity ${nameOf(object)}`
  const own = object.kind === "ServiceAccount" || !nameOf(object).startsWith(`${name}-`) ? "" : nameOf(object).slice(name.length)
  return `${object.kind} ${componentOf(object)}${
    namespaceOf(object) === undefined && own.endsWith(`.${taskNamespace}`) ? own.slice(0, -taskNamespace.length) : own
  }`
}

/** An installation: its configuration and its objects. */
export interface Installed {
  readonly config: ResolvedConfig
  readonly objects: ReadonlyArray<InstalledObject>
}

/** Returns the objects by role. If both namespaces have an object of one role, the controller's comes first. */
const byRole = ({ config, objects }: Installed): ReadonlyMap<string, InstalledObject> => {
  const roles = new Map<string, InstalledObject>()
  for (const object of objects) {
    const of = role(object, config)
    roles.set(roles.has(of) ? `${of} of tasks` : of, object)
  }
  return roles
}

export interface Pairs {
  readonly pairs: ReadonlyArray<Pair>
  readonly gone: ReadonlyArray<InstalledObject>
  readonly added: ReadonlyArray<InstalledObject>
}

export const pairsOf = (from: Installed, to: Installed): Pairs => {
  const [before, after] = [byRole(from), byRole(to)]
  return {
    pairs: [...before].flatMap(([of, object]) => {
      const found = after.get(of)
      return found === undefined ? [] : [{ from: object, to: found }]
    }),
    gone: [...before].filter(([of]) => !after.has(of)).map(([, object]) => object),
    added: [...after].filter(([of]) => !before.has(of)).map(([, object]) => object)
  }
}
