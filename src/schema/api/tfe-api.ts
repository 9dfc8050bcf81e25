// The requests of the TFE v2 API that we read, as loosely as stock clients write them: unknown keys pass, null means absent.
// What becomes part of an AgentTask has the limits that it has there.
// Used by the server's TFE routes and by the CLI.
import { Effect, Schema } from "effect"
import { Sha256, WorkspaceName } from "../names.ts"
import { Engine, Targets, WorkingDirectory } from "../task/agent-task.ts"
import { mostVariables, VariableCategory, VariableName, VariableValue } from "../task/variable.ts"
import { text } from "../text.ts"

/** Clients that give no attribute at all leave out what holds them, too. */
const none = Effect.succeed({})

const maybe = <S extends Schema.Top>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))
const request = <A extends Schema.Top, R extends Schema.Struct.Fields>(attributes: A, relationships: R) =>
  Schema.Struct({ data: Schema.Struct({ attributes, relationships: Schema.optionalKey(Schema.Struct(relationships)) }) })
const one = Schema.Struct({ id: Schema.String })
const to = Schema.Struct({ data: one })
const toOneOrNone = Schema.Struct({ data: Schema.NullOr(one) })

const workspaceSettings = {
  "auto-apply": maybe(Schema.Boolean),
  "terraform-version": maybe(text(64)),
  "working-directory": maybe(WorkingDirectory),
  "execution-mode": maybe(Schema.String),
  "agent-pool-id": maybe(Schema.String)
}
/** Keeps what it does not know, because the server refuses what it could not meet. */
const withUnknown = <A extends Schema.Struct.Fields>(attributes: Schema.Struct<A>) =>
  Schema.StructWithRest(attributes, [Schema.Record(Schema.String, Schema.Unknown)])
const workspace = <A extends Schema.Struct.Fields>(attributes: A) =>
  Schema.Struct({
    data: Schema.Struct({
      attributes: withUnknown(Schema.Struct(attributes)),
      relationships: Schema.optionalKey(Schema.Record(Schema.String, Schema.Struct({ data: Schema.optionalKey(Schema.Unknown) })))
    })
  })
export const CreateWorkspace = workspace({ name: WorkspaceName, ...workspaceSettings })
export const UpdateWorkspace = workspace({ name: maybe(WorkspaceName), ...workspaceSettings })

export const CreateConfigurationVersion = request(
  Schema.Struct({ speculative: maybe(Schema.Boolean), provisional: maybe(Schema.Boolean), "auto-queue-runs": maybe(Schema.Boolean) }).pipe(
    Schema.withDecodingDefaultKey(none)
  ),
  {}
)

const RunVariable = Schema.Struct({
  key: VariableName,
  value: VariableValue.annotate({ description: "An HCL expression: a text comes in quotes." }),
  declared: Schema.optionalKey(
    Schema.Boolean.annotate({
      description: "Ours, not in the TFE API: if true, the plan fails where the configuration does not declare the variable."
    })
  )
})

/** What a run can be asked for. */
export const RunAttributes = Schema.Struct({
  message: maybe(text(4096)),
  "is-destroy": maybe(Schema.Boolean),
  "auto-apply": maybe(Schema.Boolean),
  "allow-empty-apply": maybe(Schema.Boolean),
  "may-ask": maybe(Schema.Boolean.annotate({
    description:
      "Ours, not in the TFE API: if true, a first plan whose configuration has another backend waits for a person in spite of auto-apply."
  })),
  "plan-only": maybe(Schema.Boolean),
  "save-plan": maybe(Schema.Boolean),
  refresh: maybe(Schema.Boolean),
  "refresh-only": maybe(Schema.Boolean),
  "target-addrs": maybe(Targets),
  "replace-addrs": maybe(Targets),
  variables: maybe(Schema.Array(RunVariable).check(Schema.isMaxLength(mostVariables))),
  engine: maybe(
    Engine.annotate({
      description: "Ours, not in the TFE API: the engine of the run. Absent: tofu, or terraform where the runner image has no tofu."
    })
  )
})
export const CreateRun = request(withUnknown(RunAttributes).pipe(Schema.withDecodingDefaultKey(none)), {
  workspace: to,
  "configuration-version": Schema.optionalKey(toOneOrNone)
})
export type CreateRun = typeof CreateRun.Type

/** Stock clients send a comment, or nothing at all. */
export const ApplyRun = Schema.Struct({
  seal: maybe(Sha256.annotate({
    description:
      "Ours, not in the TFE API: the planSha256 of the run's view, of the plan that is approved; 409 if the run has another plan by then."
  }))
})

export const CreateVariable = request(
  Schema.Struct({
    key: VariableName,
    value: maybe(VariableValue),
    description: maybe(text(512)),
    category: maybe(VariableCategory),
    hcl: maybe(Schema.Boolean),
    sensitive: maybe(Schema.Boolean)
  }),
  {}
)

/** The name of the only organization. */
export const organization = "default"

export const tfePath = {
  discovery: "/.well-known/terraform.json",
  ping: "/api/v2/ping",
  workspaces: (organization: string) => `/api/v2/organizations/${encodeURIComponent(organization)}/workspaces`,
  workspaceById: (id: string) => `/api/v2/workspaces/${encodeURIComponent(id)}`,
  agentPools: (organization: string) => `/api/v2/organizations/${encodeURIComponent(organization)}/agent-pools`,
  agentPool: (id: string) => `/api/v2/agent-pools/${encodeURIComponent(id)}`,
  workspace: (organization: string, name: string) =>
    `/api/v2/organizations/${encodeURIComponent(organization)}/workspaces/${encodeURIComponent(name)}`,
  configurationVersions: (workspaceId: string) => `/api/v2/workspaces/${encodeURIComponent(workspaceId)}/configuration-versions`,
  variables: (workspaceId: string) => `/api/v2/workspaces/${encodeURIComponent(workspaceId)}/vars`,
  variable: (workspaceId: string, id: string) => `/api/v2/workspaces/${encodeURIComponent(workspaceId)}/vars/${encodeURIComponent(id)}`,
  runs: "/api/v2/runs",
  action: (id: string, action: "apply" | "discard" | "cancel" | "force-cancel") =>
    `/api/v2/runs/${encodeURIComponent(id)}/actions/${action}`,
  outputs: (workspaceId: string) => `/api/v2/workspaces/${encodeURIComponent(workspaceId)}/current-state-version-outputs`
} as const
