// Which labels, annotations and resources a task's template may set: a key with a prefix speaks to a webhook or a driver, so values allow it.
// Invariant: the controller and the API server's policy refuse the same templates, in the same words.
// Used by core/reconcile/situation, core/task/task-spec, core/manifest/admission/admission-references and cli/commands/render.
import type { AgentTask } from "../../schema/task/agent-task.ts"
import type { JobTemplate } from "../../schema/task/job-template.ts"
import { longestMarkKey } from "../../schema/task/text-map.ts"

/** The parts of a task's template whose keys are looked at. The keys of its node selector are free, because they only narrow it down. */
export const markedParts = ["annotations", "labels", "runner.resources.limits", "runner.resources.requests"] as const
export type MarkedPart = (typeof markedParts)[number]

const marked = ({ annotations, labels, runner }: JobTemplate): Readonly<Record<MarkedPart, object | undefined>> => ({
  annotations,
  labels,
  "runner.resources.limits": runner?.resources?.limits,
  "runner.resources.requests": runner?.resources?.requests
})

/**
 * Returns what a person is told of a key. The parts of the sentence are for the API server, which puts them together itself, and which may
 * have the policies of older values.
 */
export const refusalOf = (part: MarkedPart) => ({
  before: `spec.jobTemplate.${part} has the key `,
  after:
    ", which is not among the allowed keys (task.allowedKeys); add it there and, with component admission, write its policies anew, or make the task without it"
})

/** Reports whether a key has a prefix, and so may be refused. */
const isPrefixed = (key: string): boolean => key.includes("/")

const prefixed = (map: Readonly<Record<string, string>> | undefined) =>
  Object.fromEntries(Object.keys(map ?? {}).filter((key) => isPrefixed(key) && key.length <= longestMarkKey).map((key) => [key, ""]))

/**
 * Returns all of a template that its refusal is about: the keys that may be refused. The API server refuses a Job with a longer key, which
 * a task of an earlier CRD may have.
 */
export const withPrefixedKeys = ({ annotations, labels, runner }: JobTemplate): JobTemplate => ({
  annotations: prefixed(annotations),
  labels: prefixed(labels),
  runner: { resources: { limits: prefixed(runner?.resources?.limits), requests: prefixed(runner?.resources?.requests) } }
})

/** Reports whether a task may set the key: one without a prefix, or one that is allowed, whole or by its prefix. */
const isAllowed = (key: string, allowed: ReadonlyArray<string>): boolean =>
  !isPrefixed(key) || allowed.some((one) => one.endsWith("/") ? key.startsWith(one) : key === one)

/** Returns what is wrong with the task's template; undefined if the values allow all of its keys. */
export const templateRefusal = ({ spec: { jobTemplate = {} } }: AgentTask, allowed: ReadonlyArray<string>): string | undefined => {
  const parts = marked(jobTemplate)
  for (const part of markedParts) {
    const [key] = Object.keys(parts[part] ?? {}).filter((key) => !isAllowed(key, allowed)).sort()
    const { after, before } = refusalOf(part)
    if (key !== undefined) return `${before}${key}${after}.`
  }
  return undefined
}
