// The spec of a task as the controller keeps it in memory: without the texts that its worker alone reads, which of many tasks would be all of the memory; and whether two stored ones are the same work.
// Always holds: it says the same of everything else, a variable has its place in the list, and what was left out comes back with the stored spec.
// Used by controller/project, controller/execute and core/intake.
import { Equal } from "effect"
import type { AgentTaskSpec, Variable } from "../schema/agent-task.ts"

const withoutValue = (variable: Variable): Variable => variable.value === undefined ? variable : { ...variable, value: "" }

/** As it is cached. A write of the status leaves the stored spec as it is. */
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
 * Of a spec that was made from a cached one, what is to be stored: with the texts of the spec that the cached one is of. No inline files
 * are among these, since nothing is made of a task that has some.
 */
export const withTextsOf = ({ backend, variables }: AgentTaskSpec, spec: AgentTaskSpec): AgentTaskSpec => ({
  ...spec,
  ...(variables !== undefined && { variables }),
  ...(backend !== undefined && { backend })
})

/** Whether a task that is there does what one would do that is wanted, as both are stored: a cancel changes nothing of what it is. */
export const doesTheSame = ({ cancel: _is, ...found }: AgentTaskSpec, { cancel: _was, ...wanted }: AgentTaskSpec): boolean =>
  Equal.equals(found, wanted)
