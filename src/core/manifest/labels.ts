// The labels that our objects have, and by which they are selected.
// Invariant: an AgentTask's Job and Pods have the same labels of ours, which neither the values nor the task's own template can set.
// Used by every builder and, for selectors, by the controller.
import { agentTaskResource, workspaceKey } from "../../schema/names.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import { isLabelValue } from "../../schema/values/pod-values.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"

export type Component = "controller" | "server" | "task"

/** The label of every object that we make, for the controller itself and for tasks. */
export const managedByUs = { "app.kubernetes.io/managed-by": "agent-job" } as const

/** The selector by which the Jobs and Pods of tasks are listed, so that the controller never sees any others. */
export const taskSelector = "app.kubernetes.io/managed-by=agent-job,app.kubernetes.io/component=task"

/** On a task's Job and Pods: the uid of their AgentTask. */
export const taskUidLabel = "scalr.io/task-uid"

/** On a task's Job and Pods: its name, cut to 63 characters. */
export const taskLabel = "scalr.io/task"

/** On a task's Job and Pods: plan, apply or destroy. */
export const stageLabel = "scalr.io/stage"

/** Returns the labels for selectors. They must never change, because a selector cannot be changed. */
export const selectorLabels = (config: ResolvedConfig, component: Component) => ({
  "app.kubernetes.io/name": "agent-job",
  "app.kubernetes.io/instance": config.name,
  "app.kubernetes.io/component": component
})

/**
 * Returns a selector of Pods that a kustomization cannot narrow. With `includeSelectors` it adds labels to every `matchLabels`, though the
 * Pods of tasks, which the controller makes, and those of others do not get them.
 */
export const selecting = (labels: Readonly<Record<string, string>>) => ({
  matchExpressions: Object.entries(labels).map(([key, value]) => ({ key, operator: "In", values: [value] }))
})

export const labels = (config: ResolvedConfig, component: Component) => ({
  ...selectorLabels(config, component),
  ...managedByUs
})

/** Returns at most 63 characters of a name, cut so that they are a valid label value. */
const cut = (name: string): string => name.slice(0, 63).replace(/[-._]+$/u, "")

/** No task gets this far with such a label, but the values may have one. */
const isOurs = (key: string): boolean => key.startsWith(`${agentTaskResource.group}/`)

/** Returns the labels of a task's Job or Pod. `given` are those of the values: they override the task's own, and ours override both. */
export const taskLabels = (
  { metadata, spec }: AgentTask,
  config: ResolvedConfig,
  given: Readonly<Record<string, string>>
): Record<string, string> => ({
  ...Object.fromEntries(Object.entries({ ...spec.jobTemplate?.labels, ...given }).filter(([key]) => !isOurs(key))),
  ...labels(config, "task"),
  [taskLabel]: cut(metadata.name),
  [taskUidLabel]: metadata.uid,
  [stageLabel]: spec.stage,
  ...(isLabelValue(spec.workspace) && { [workspaceKey]: spec.workspace })
})
