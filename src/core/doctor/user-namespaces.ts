// Judges whether the nodes that take tasks support user namespaces, as the values want them.
// Used by cli/doctor/doctor-objects.
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { type Check, check, checkNames } from "./check.ts"

interface Taint {
  readonly key: string
  readonly value?: string
  readonly effect: string
}

type Toleration = Partial<Taint> & { readonly operator?: string }

/** A node as its object describes it. `able`: whether it supports user namespaces in the runtime of tasks. */
export interface SeenNode {
  readonly labels: Readonly<Record<string, string>>
  readonly taints: ReadonlyArray<Taint>
  readonly able: boolean
}

/** Which nodes the Pods of tasks may be scheduled on. */
interface Scheduling {
  readonly nodeSelector?: Readonly<Record<string, string>>
  readonly tolerations?: ReadonlyArray<Toleration>
}

const tolerates = ({ effect, key, operator = "Equal", value = "" }: Toleration, taint: Taint): boolean =>
  (effect === undefined || effect === "" || effect === taint.effect) &&
  (key === undefined || key === "" ? operator === "Exists" : key === taint.key) &&
  (operator === "Exists" || (operator === "Equal" && value === (taint.value ?? "")))

/** Reports whether a taint keeps Pods away for as long as the node exists. Kubernetes sets those of its own prefix for a condition that passes. */
const isLasting = ({ effect, key }: Taint): boolean => effect !== "PreferNoSchedule" && !key.startsWith("node.kubernetes.io/")

const takes = ({ nodeSelector = {}, tolerations = [] }: Scheduling) => ({ labels, taints }: SeenNode): boolean =>
  Object.entries(nodeSelector).every(([key, value]) => labels[key] === value) &&
  taints.filter(isLasting).every((taint) => tolerations.some((_) => tolerates(_, taint)))

const say = check(checkNames.userNamespaces)

export const noRuntimeClass = (name: string): Check =>
  say("failed", `there is no RuntimeClass ${name}, so no task's Pod can be created; create it, or correct task.runtimeClassName`)

/** `scheduling`: what the RuntimeClass of tasks adds to the scheduling of their Pods. */
export const userNamespaces = (
  { task }: ResolvedConfig,
  { nodes, scheduling }: { readonly scheduling: Scheduling; readonly nodes: ReadonlyArray<SeenNode> }
): Check => {
  const candidates = nodes.filter(takes({
    nodeSelector: { ...task.pod.nodeSelector, ...scheduling.nodeSelector },
    tolerations: [...task.pod.tolerations, ...scheduling.tolerations ?? []]
  }))
  const able = candidates.filter((node) => node.able).length
  const share = candidates.length === 1
    ? `the only node for tasks ${able === 1 ? "supports" : "does not support"} them`
    : `${able} of ${candidates.length} nodes for tasks support them`
  if (!task.userNamespaces) {
    return able === candidates.length && able > 0
      ? say("warning", `${share}, and tasks do not use them; give task.userNamespaces: true`)
      : say("ok", `${share}; tasks do without`)
  }
  if (candidates.length === 0) {
    const all = nodes.length === 1 ? "the only node" : `${nodes.length} nodes`
    return say("unknown", `no node takes tasks now, by task.nodeSelector, task.tolerations and the taints of ${all}`)
  }
  if (able === 0) return say("failed", `${share}, and task.userNamespaces is true, so no task's Pod starts; set it to false`)
  return able === candidates.length
    ? say("ok", share)
    : say(
      "warning",
      `${share}, and task.userNamespaces is true: Pods do not start on the others; keep them away with task.nodeSelector`
    )
}
