// A task's spec as the controller caches it: without texts that only the worker reads, which would fill the memory. Also compares specs.
// Invariant: everything else stays, each variable keeps its place in the list, and what was left out comes back with the stored spec.
// Used by controller/world/project, controller/reconcile/execute and core/task/intake.
import { Equal } from "effect"
import type { AgentTaskSpec } from "../../schema/task/agent-task.ts"
import type { Variable } from "../../schema/task/variable.ts"

const withoutValue = (variable: Variable): Variable => variable.value === undefined ? variable : { ...variable, value: "" }

/** Returns the spec as it is cached. Writes of the status leave the stored spec as it is. */
export const withoutTexts = (spec: AgentTaskSpec): AgentTaskSpec => {
  const { backend, source, variables } = spec
  return {
    ...spec,
    ...(source.inline !== undefined && { source: { ...source, inline: {} } }),
    ...(variables !== undefined && { variables: variables.map(withoutValue) }),
    ...(backend?.config !== undefined && { backend: { ...backend, config: {} } })
  }
}

/**
 * Returns `spec`, which was made from a cached spec, with the texts of the stored one. Inline files are none of these, since no task is
 * made from a task that has some.
 */
export const withTextsOf = ({ backend, variables }: AgentTaskSpec, spec: AgentTaskSpec): AgentTaskSpec => ({
  ...spec,
  ...(variables !== undefined && { variables }),
  ...(backend !== undefined && { backend })
})

/**
 * Reports whether an existing task does the same as a wanted one, by the specs as they are stored. A cancel makes no difference to that.
 */
export const doesTheSame = ({ cancel: _is, ...found }: AgentTaskSpec, { cancel: _was, ...wanted }: AgentTaskSpec): boolean =>
  Equal.equals(found, wanted)
