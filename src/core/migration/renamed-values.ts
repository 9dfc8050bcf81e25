// Values of the Helm chart as ours: keys that later charts (0.5.68 on) renamed get their names here, unknown keys are taken out and named.
// Invariant: a key that has the same name here keeps its value, and nothing is dropped without being in `unknown`.
// Used by core/migration/release-values.ts.
import { isTree, saying, type Tree, union } from "../../schema/document/layers.ts"
import { type UnknownKey, unknownKeys } from "../../schema/document/unknown-keys.ts"
import { blocksDrains } from "../../schema/values/value-rules.ts"
import { Sections } from "../../schema/values/value-sections.ts"
import { get, without, withValue } from "../resolve/tree-path.ts"

interface Rename {
  readonly from: string
  /** The keys here. If there are several, each gets the value. What such a key has already takes precedence. */
  readonly to: ReadonlyArray<string>
  /** Returns the value here, or undefined if there is none that means the same: then the key stays where it was. */
  readonly as?: (value: unknown, all: Tree) => unknown
}

/** Returns a list of variables as a map, or undefined if one of them has no name or takes its value from elsewhere. */
const byName = (value: unknown): unknown => {
  if (!Array.isArray(value)) return isTree(value) ? value : undefined
  const entries = value.map((_: unknown) =>
    isTree(_) && typeof _["name"] === "string" && _["valueFrom"] === undefined ? [_["name"], _["value"] ?? ""] as const : undefined
  )
  return entries.includes(undefined) ? undefined : Object.fromEntries(entries.filter((_) => _ !== undefined))
}

const ofCache = (value: unknown, all: Tree): unknown => get(all, "persistence.cache.enabled") === true ? value : undefined

/** Returns the budget, or undefined if no drain could ever respect it, since that is worse than none. */
const budget = (value: unknown, all: Tree): unknown => {
  const replicas = get(all, "agent.replicaCount") ?? 1
  const leaves = isTree(value) ? value["minAvailable"] ?? 1 : undefined
  const isCount = typeof leaves === "number" || typeof leaves === "string"
  return isCount && typeof replicas === "number" && blocksDrains(leaves, replicas) ? undefined : value
}

const notInverse = (value: unknown): unknown => typeof value === "boolean" ? !value : undefined
const list = (value: unknown): unknown => Array.isArray(value) ? value : undefined

const ofController = [
  "affinity",
  "nodeSelector",
  "podAnnotations",
  "podLabels",
  "podSecurityContext",
  "resources",
  "terminationGracePeriodSeconds",
  "tolerations"
]

/** These are from the changelog and the templates of the chart, 0.5.60 to 0.6.5. */
const renames: ReadonlyArray<Rename> = [
  ...ofController.map((key) => ({ from: `agent.${key}`, to: [`controller.${key}`] })),
  { from: "agent.topologySpreadConstraints", to: ["controller.topologySpreadConstraints"], as: list },
  { from: "agent.podDisruptionBudget", to: ["controller.podDisruptionBudget"], as: budget },
  { from: "agent.replicaCount", to: ["controller.replicas"] },
  { from: "agent.controller.extraEnv", to: ["controller.extraEnv"], as: byName },
  { from: "agent.controller.extraEnvFrom", to: ["controller.extraEnvFrom"] },
  { from: "agent.controller.securityContext", to: ["controller.securityContext"] },
  { from: "global.labels", to: ["global.labels", "global.podLabels"] }, // the chart's reach the Pods too
  { from: "global.podSecurityContext", to: ["controller.podSecurityContext", "task.podSecurityContext"] },
  { from: "persistence.cache.hostPath", to: ["persistence.hostPath"], as: ofCache },
  { from: "persistence.cache.persistentVolumeClaim", to: ["persistence.persistentVolumeClaim"], as: ofCache },
  { from: "persistence.cache.enabled", to: ["persistence.enabled"] },
  { from: "persistence.data.emptyDir", to: ["persistence.emptyDir"] },
  { from: "task.allowMetadataService", to: ["restrictMetadataService"], as: notInverse }
]

/** Null for the user and groups of all Pods together is null for each of them, since they are in several maps here. */
const usersApart = (given: Tree): Tree =>
  get(given, "global.podSecurityContext") === null
    ? withValue(given, "global.podSecurityContext", { fsGroup: null, runAsGroup: null, runAsUser: null })
    : given

/** Sets a key to a value. What the key has already takes precedence, null too, also where it takes away a section around the key. */
const withDefault = (all: Tree, key: string, value: unknown): Tree => {
  const own = get(all, key)
  if (own === undefined) return saying(all, key.split(".")).says === "instead" ? all : withValue(all, key, value)
  return isTree(own) && isTree(value) ? withValue(all, key, union(value, own)) : all
}

/** What containers have by default here, and what they have from their Pod in later charts. */
const ofContainers = [
  "agent.securityContext.runAsNonRoot", // the chart's runner has it too
  ...["runAsGroup", "runAsUser", "seccompProfile"].flatMap((key) => [`agent.securityContext.${key}`, `task.runner.securityContext.${key}`])
]

/** Takes these away where one context is for all Pods, so that each container has what its Pod says. */
const fromPods = (given: Tree): Tree =>
  get(given, "global.podSecurityContext") === undefined
    ? given
    : ofContainers.reduce((all, key) => withDefault(all, key, null), usersApart(given))

export interface Renamed {
  readonly values: Tree
  readonly renamed: ReadonlyArray<Pick<Rename, "from" | "to">>
  readonly unknown: ReadonlyArray<UnknownKey>
}

export const renamedValues = (given: Tree): Renamed => {
  let values = fromPods(given)
  const renamed: Array<Rename> = []
  for (const rename of renames) {
    const value = get(values, rename.from)
    const here = value === undefined || rename.as === undefined ? value : rename.as(value, given)
    if (here === undefined) continue
    values = rename.to.reduce((all, to) => withDefault(all, to, here), without(values, rename.from))
    renamed.push(rename)
  }
  const { known, unknown } = unknownKeys(Sections, values)
  return { values: known, renamed, unknown }
}
