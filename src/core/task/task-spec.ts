// A task's spec as the controller caches it: without what no decision needs, with which its author could fill the memory. Also compares specs.
// Invariant: each key of the spec stays, and what was left out below it comes back with the stored spec.
// Used by controller/world/project, controller/reconcile/execute and core/task/intake.
import { Equal } from "effect"
import { type AgentTask, type AgentTaskSpec, Engine, PlanOptions } from "../../schema/task/agent-task.ts"
import { isOver } from "./status.ts"
import { withPrefixedKeys } from "./template-keys.ts"

/** Returns the names of the keys that are not known, for which the task is refused. */
const unknownNames = (part: object, known: object): object =>
  Object.fromEntries(Object.keys(part).filter((key) => !Object.hasOwn(known, key)).map((key) => [key, true]))

/**
 * Returns the spec as it is cached. Writes of the status leave the stored spec as it is, and whoever makes a Job or a task of it reads that
 * first. Once a task is over, nobody asks any more whether its template may be run.
 */
export const withoutTexts = ({ spec, status: { phase } }: Pick<AgentTask, "spec" | "status">): AgentTaskSpec => {
  const { backend, engine, jobTemplate, options, source, variables } = spec
  return {
    ...spec,
    ...(source.inline !== undefined && { source: { ...source, inline: {} } }),
    ...(options !== undefined && { options: unknownNames(options, PlanOptions.fields) }),
    ...(engine !== undefined && { engine: { ...engine, ...unknownNames(engine, Engine.fields) } }),
    ...(variables !== undefined && { variables: [] }),
    ...(backend?.config !== undefined && { backend: { ...backend, config: {} } }),
    ...(jobTemplate !== undefined && { jobTemplate: isOver(phase) ? {} : withPrefixedKeys(jobTemplate) })
  }
}

/** Reports whether the Job of a task has parts of its spec that are not cached. */
export const isJobOfStored = ({ jobTemplate, variables }: AgentTaskSpec): boolean => jobTemplate !== undefined || variables !== undefined

/**
 * Returns `spec`, which was made from a cached spec, with the texts of the stored one. Inline files are none of these, since no task is
 * made from a task that has some; and an apply has no options, though its plan has.
 */
export const withTextsOf = ({ backend, engine, jobTemplate, options, variables }: AgentTaskSpec, spec: AgentTaskSpec): AgentTaskSpec => ({
  ...spec,
  ...(options !== undefined && spec.options !== undefined && { options }),
  ...(engine !== undefined && { engine }),
  ...(variables !== undefined && { variables }),
  ...(backend !== undefined && { backend }),
  ...(jobTemplate !== undefined && { jobTemplate })
})

/**
 * Reports whether an existing task does the same as a wanted one, by the specs as they are stored. A cancel makes no difference to that.
 */
export const doesTheSame = ({ cancel: _is, ...found }: AgentTaskSpec, { cancel: _was, ...wanted }: AgentTaskSpec): boolean =>
  Equal.equals(found, wanted)
