// The labels that our objects carry and are selected by.
// Invariant: an AgentTask's Job and Pods have the same of ours, and neither values nor a template of the task can take them away.
// Used by every builder beside it and, for selectors, by the controller.
import type { AgentTask } from "../../schema/agent-task.ts"
import { workspaceKey } from "../../schema/names.ts"
import { isLabelValue } from "../../schema/pod-values.ts"
import type { ResolvedConfig } from "../resolve.ts"

export type Component = "controller" | "server" | "task"

/** On every object that we make, the controller's own and those of tasks. */
export const managedByUs = { "app.kubernetes.io/managed-by": "agent-job" } as const

/** What the Jobs and Pods of tasks are listed by; others are never even seen. */
export const taskSelector = "app.kubernetes.io/managed-by=agent-job,app.kubernetes.io/component=task"

/** On a task's Job and Pods: the uid of their AgentTask. */
export const taskUidLabel = "scalr.io/task-uid"

/** On a task's Job and Pods: its name, cut to 63 characters. */
export const taskLabel = "scalr.io/task"

/** On a task's Job and Pods: plan, apply or destroy. */
export const stageLabel = "scalr.io/stage"

/** What a selector needs; never changed, since selectors cannot be. */
export const selectorLabels = (config: ResolvedConfig, component: Component) => ({
  "app.kubernetes.io/name": "agent-job",
  "app.kubernetes.io/instance": config.name,
  "app.kubernetes.io/component": component
})

export const labels = (config: ResolvedConfig, component: Component) => ({
  ...selectorLabels(config, component),
  ...managedByUs
})

/** At most 63 characters of a name, ending as a label's value must. */
const cut = (name: string): string => name.slice(0, 63).replace(/[-._]+$/u, "")

/** `given`: by the values; those of the task itself win over them, and ours over both. */
export const taskLabels = (
  { metadata, spec }: AgentTask,
  config: ResolvedConfig,
  given: Readonly<Record<string, string>>
): Record<string, string> => ({
  ...given,
  ...spec.jobTemplate?.labels,
  ...labels(config, "task"),
  [taskLabel]: cut(metadata.name),
  [taskUidLabel]: metadata.uid,
  [stageLabel]: spec.stage,
  ...(isLabelValue(spec.workspace) && { [workspaceKey]: spec.workspace })
})
