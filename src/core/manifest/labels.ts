// The labels that our objects carry and are selected by.
// Invariant: an AgentTask's Job and Pods have the same, and a template of the task cannot take them away.
// Used by every builder beside it and, for selectors, by the controller.
import { isLabelValue } from "../../schema/pod-values.ts"
import type { AgentTask } from "../../schema/agent-task.ts"
import type { ResolvedConfig } from "../resolve.ts"

export type Component = "controller" | "server" | "task"

/** What a selector needs; never changed, since selectors cannot be. */
export const selectorLabels = (config: ResolvedConfig, component: Component) => ({
  "app.kubernetes.io/name": "agent-job",
  "app.kubernetes.io/instance": config.name,
  "app.kubernetes.io/component": component
})

export const labels = (config: ResolvedConfig, component: Component) => ({
  ...selectorLabels(config, component),
  "app.kubernetes.io/managed-by": "agent-job"
})

/** At most 63 characters of a name, ending as a label's value must. */
const cut = (name: string): string => name.slice(0, 63).replace(/[-._]+$/u, "")

export const taskLabels = ({ metadata, spec }: AgentTask, config: ResolvedConfig): Record<string, string> => ({
  ...spec.jobTemplate?.labels,
  ...labels(config, "task"),
  "scalr.io/task": cut(metadata.name),
  "scalr.io/task-uid": metadata.uid,
  "scalr.io/stage": spec.stage,
  ...(isLabelValue(spec.workspace) && { "scalr.io/workspace": spec.workspace })
})
