// The identities of tasks: the service accounts that the Pods of some workspaces and stages have instead of the one of all tasks.
// Invariant: none has a name that Kubernetes, a controller or all tasks have for an account, as far as its form shows.
// Used by schema/values/value-sections, schema/values/identity-rules, core/resolve/resolve and core/task/identity.
import { Schema } from "effect"
import { Subdomain } from "../names.ts"
import { fits, WorkspacePattern } from "../workspace-pattern.ts"
import { Annotations, Labels } from "./pod-values.ts"
import { value } from "./value.ts"

/** The names of accounts that there are in every namespace, or in one of an installation, so that an identity would take them over. */
const notOurs = Schema.isPattern(/^(?!(default|agent-job|.*-tasks?)$)/u, {
  expected:
    "no account that Kubernetes or agent-job has itself: neither default nor agent-job, nor a name that ends in -task or -tasks; choose another"
})

export const stages = ["plan", "apply", "destroy"] as const
type Stage = (typeof stages)[number]

const Identity = Schema.Struct({
  name: Subdomain.annotate({ description: "The service account, in the tasks' namespace." }).check(notOurs),
  workspaces: Schema.mutable(Schema.Array(WorkspacePattern)).check(
    Schema.isMinLength(1, { expected: "a list of one name or more, such as * for all workspaces" })
  ).annotate({ description: "The workspaces whose tasks have it, each by its name or by the beginning of names and *." }),
  stages: value(
    Schema.mutable(Schema.Array(Schema.Literals(stages))),
    [],
    "The stages that have it; none: all of them."
  ),
  create: value(Schema.Boolean, true, "Makes the account; else it must exist."),
  annotations: value(Annotations, {}, "Annotations of the account, such as a role of a cloud."),
  labels: value(Labels, {}, "Labels of the account.")
})
export type Identity = typeof Identity.Type

/** Reports whether an identity is for a stage of a workspace, or of all workspaces that a pattern is for. */
export const isFor = ({ stages, workspaces }: Pick<Identity, "stages" | "workspaces">, stage: Stage, workspace: string): boolean =>
  (stages.length === 0 || stages.includes(stage)) && fits(workspaces, workspace)

export const identities = value(
  Schema.mutable(Schema.Array(Identity)),
  [],
  "Service accounts for the Pods of some workspaces and stages, each as name, workspaces (names, or the beginning of names and *), stages (none: all), create, annotations and labels; the first that fits a task counts, and tasks that none fits have the account of all tasks."
)
